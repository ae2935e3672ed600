"""`ImageDataBunch`: labelled pictures as loaders of batches (fastai v1's names)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Self

import torch
from torch import Tensor

from learnfleet.trainer.boxes import needs_a_loss
from learnfleet.trainer.bunch import Bunch
from learnfleet.trainer.data_factories import DataFactories
from learnfleet.trainer.data_spec import FOLLOWING_KINDS, DataSpec, LabelKind, ResizeMethod
from learnfleet.trainer.dataset import DatasetType as DatasetType
from learnfleet.trainer.dataset import ImageDataset
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.eval_transform import EvalTransform as EvalTransform
from learnfleet.trainer.following import PictureTargets, following_targets
from learnfleet.trainer.images import BadImage, Source
from learnfleet.trainer.listing import FolderListing, Item, assemble
from learnfleet.trainer.loader import ImageLoader, LoaderOptions, checked_threads
from learnfleet.trainer.losses import Loss, build_loss
from learnfleet.trainer.normalization import checked_stats, stats_of
from learnfleet.trainer.pictures import DEFAULT_CACHE_BYTES, PictureStore
from learnfleet.trainer.pixels import NO_STATS, Stats
from learnfleet.trainer.resize import CENTRE, Resize
from learnfleet.trainer.sources import list_data
from learnfleet.trainer.spec import LOSS_OF_LABELS
from learnfleet.trainer.transform_components import check_transforms
from learnfleet.trainer.transforms import BatchAugment

if TYPE_CHECKING:
    from learnfleet.trainer.tta import AugmentSettings


# Against a picture that is decoded for one window, one in memory takes a fifth of the time, and one that is decoded to
# be kept half as long again: keeping pays from this share on.
_WORTH_KEEPING = 0.4


class ImageDataBunch(Bunch, DataFactories):
    """Training, validation and test pictures.

    Attributes:
        train_dl, valid_dl, test_dl, fix_dl, single_dl: loaders, see DatasetType; None where there is nothing.
        train_ds, valid_ds, test_ds, fix_ds, single_ds: their files and targets.
        classes, c: names of the classes, and their number.
        kind: what the targets are.
        stats: (mean, std) of the normalisation, None if there is none.
        bad_image: what happens to broken pictures.
        loss_func: what is trained with unless the learner is given another.
    """

    def __init__(
        self,
        spec: DataSpec,
        listing: FolderListing,
        *,
        seed: int = 0,
        device: torch.device | str | None = None,
        stats: Stats | None = None,
        cache_bytes: int = DEFAULT_CACHE_BYTES,
        threads: int | None = None,
    ) -> None:
        """Args:
        seed: of shuffling and augmentation.
        cache_bytes: memory for decoded pictures, in this process.
        threads: that decode, in this process. None: up to 4; 0: one.
        """
        self.spec, self.listing, self._seed, self._threads = spec, listing, seed, checked_threads(threads)
        self.path = self.root = Path(spec.path)
        self.device = torch.device(device or "cpu")
        self.classes, self.bad_image, self.kind = list(listing.classes), spec.bad_image, listing.kind
        self.loss_func: Loss = _loss_of(listing.kind)
        self.stats: Stats | None = None
        self._open_stores(cache_bytes)
        self._loaders = self._make_loaders(spec.bs, spec.val_bs or spec.bs)
        if stats is not None:
            self.normalize(stats, do_y=spec.normalizes_targets)

    def _open_stores(self, cache_bytes: int) -> None:
        """Pictures, and targets that follow them, as they are in validation and, where that differs, in training."""
        spec, listing = self.spec, self.listing
        rows, columns = _checked_size(spec)
        check_transforms(spec)
        resize = Resize(rows, columns, spec.resize_method, spec.padding_mode)
        self._augment: BatchAugment | None = None
        if spec.transforms is not None:
            self._augment = BatchAugment(
                spec.transforms, self._seed, rows / columns if columns else 1.0, spec.padding_mode
            )
        window = self._augment.window if self._augment is not None else None
        train_resize = resize if window is None else resize.oversized(window.oversize)
        resize = replace(resize, margin=spec.valid_margin)
        self._pictures = self._train_pictures = PictureStore(self.root, resize, cache_bytes)
        if train_resize != resize:
            kept_bytes = cache_bytes if self._worth_keeping(train_resize, cache_bytes) else 0
            self._train_pictures = PictureStore(self.root, train_resize, kept_bytes)
        self._targets = following_targets(listing, self.root, resize, cache_bytes)
        self._train_targets = self._targets
        if train_resize != resize:
            self._train_targets = following_targets(listing, self.root, train_resize, cache_bytes)

    def _worth_keeping(self, resize: Resize, cache_bytes: int) -> bool:
        """Whether enough training pictures fit into memory. Where few do, random windows are better decoded each for
        itself, which takes less time and gives other pixels: so this depends on nothing but the data and the settings.
        """
        return self.listing.kind in FOLLOWING_KINDS or cache_bytes >= _WORTH_KEEPING * resize.bytes * len(
            self.listing.train
        )

    def _make_loaders(self, bs: int, val_bs: int) -> dict[DatasetType, ImageLoader]:
        listing = self.listing
        train, valid, test = (self._dataset(items) for items in (listing.train, listing.valid, listing.test))
        return {
            DatasetType.Train: ImageLoader(
                train, self._train_pictures, self._options(bs, shuffle=True), self._augment, targets=self._train_targets
            ),
            DatasetType.Valid: self._plain(valid, val_bs),
            DatasetType.Test: self._plain(test, val_bs),
            DatasetType.Single: self._plain(valid, 1),
            DatasetType.Fix: self._plain(train, val_bs),
        }

    def _dataset(self, items: Sequence[Item]) -> ImageDataset:
        return ImageDataset(tuple(items), self.listing.classes, self.kind)

    def _plain(self, dataset: ImageDataset, bs: int) -> ImageLoader:
        return ImageLoader(dataset, self._pictures, self._options(bs, shuffle=False), targets=self._targets)

    def _options(self, bs: int, *, shuffle: bool) -> LoaderOptions:
        return LoaderOptions(bs, self.device, shuffle, self._seed, self.spec.bad_image, self._threads)

    @classmethod
    def from_spec(
        cls,
        spec: DataSpec,
        *,
        seed: int = 0,
        device: torch.device | str | None = None,
        stats: Stats | None = None,
        threads: int | None = None,
    ) -> Self:
        """The data of a learner.

        Args:
            stats: what `auto` normalisation means here: those of the weights. None: ImageNet's.

        Raises LearnerError if a folder is missing or holds no training picture.
        """
        listing = list_data(spec)
        if not listing.train:
            raise LearnerError(f"data.{spec.source}", f"no picture to train on in {spec.path}")
        return cls(spec, listing, seed=seed, device=device, stats=stats_of(spec.normalization, stats), threads=threads)

    @classmethod
    def empty_of(cls, spec: DataSpec, stats: Stats | None) -> Self:
        """The transforms and classes of a specification, without its pictures."""
        return cls(spec, assemble(spec, (), ()), stats=stats)

    @property
    def c(self) -> int:
        """Number of classes (of numbers an item, for regression; of channels, for pictures)."""
        return len(self.classes)

    @c.setter
    def c(self, number: int) -> None:
        """fastai v1 has it set by hand for targets that are pictures. Raises LearnerError for another number."""
        if number != self.c:
            raise LearnerError("c", f"{number} is not the {self.c} that these targets need")

    @property
    def on_bad_image(self) -> Callable[[BadImage], None] | None:
        """Called once for each broken picture, from the thread that found it."""
        return self._pictures.on_bad_image

    @on_bad_image.setter
    def on_bad_image(self, callback: Callable[[BadImage], None] | None) -> None:
        self._pictures.on_bad_image = self._train_pictures.on_bad_image = callback

    @property
    def eval_transform(self) -> EvalTransform:
        """The validation transforms, for single pictures and for exports."""
        mean, std = self.stats or NO_STATS
        spec = self.spec
        return EvalTransform(tuple(spec.size), spec.resize_method, mean, std, spec.padding_mode, spec.valid_margin)

    @property
    def augment_settings(self) -> AugmentSettings:
        """What the training augmentation is made of, for test-time augmentation."""
        from learnfleet.trainer.tta import NO_TRANSFORMS, AugmentSettings

        rows, columns = _checked_size(self.spec)
        spec = self.spec.transforms or NO_TRANSFORMS
        return AugmentSettings(spec, self._seed, rows / columns if columns else 1.0, self.spec.padding_mode)

    def normalize(self, stats: Stats | None = None, do_x: bool = True, do_y: bool = False) -> Self:
        """Subtract the mean and divide by the std, each three values of pixels in [0, 1].

        Args:
            stats: None measures them, see `batch_stats`.
            do_x, do_y: pictures; targets too, where they are pictures.

        Raises LearnerError if the data is normalised already.
        """
        if self.stats is not None:
            raise LearnerError("normalize", "Can not call normalize twice: it is done already; make a new data bunch")
        if do_y and self.kind is not LabelKind.IMAGE:
            raise LearnerError("normalize.do_y", f"targets of the kind {self.kind} are no pictures to normalise")
        if do_y and not do_x:
            raise LearnerError("normalize.do_x", "targets are normalised as their pictures are: leave do_x out")
        if not do_x:
            return self
        self.stats = self.batch_stats() if stats is None else checked_stats(stats, "normalize")
        for loader in self._loaders.values():
            loader.stats = self.stats
        if do_y:
            self.spec = replace(self.spec, normalizes_targets=True)
            for targets in (self._targets, self._train_targets):
                if isinstance(targets, PictureTargets):
                    targets.stats = self.stats
        return self

    @property
    def normalizes_targets(self) -> bool:
        """Whether targets, which are pictures then, are normalised as their pictures are."""
        return self.spec.normalizes_targets

    def denormalize(self, x: Tensor) -> Tensor:
        """Pixels in [0, 1] of normalised pictures [..., 3, H, W]."""
        mean, std = (torch.tensor(part, device=x.device).view(3, 1, 1) for part in self.stats or NO_STATS)
        return (x * std + mean).clamp(0, 1)

    def batch_stats(self) -> Stats:
        """Mean and std per channel of one training batch: the first of epoch 0, the same on all ranks."""
        loader = self.train_dl if len(self.train_dl) else self.fix_dl
        with closing(loader.unsharded().epoch(0)) as batches:
            first = next(batches, None)
        if first is None:
            raise LearnerError("normalize", "not one of the first training pictures can be read: look at the data")
        x = self.denormalize(first.x).double()
        mean, std = x.mean(dim=(0, 2, 3)), x.std(dim=(0, 2, 3))
        return tuple(mean.tolist()), tuple(std.tolist())

    def single_batch(self, images: Sequence[Source]) -> Tensor:
        """Pictures from anywhere with the validation transforms, float32 [N, 3, H, W] on the device.

        Raises BadImage.
        """
        return self.eval_transform(images).to(self.device)

    def open_item(self, ds_type: DatasetType, index: int) -> Tensor:
        """Item `index` of that part as the model sees it in validation, uint8 [3, H, W]. Raises BadImage."""
        resize = self._pictures.resize
        return resize.crop(self._pictures.picture(self.dl(ds_type).dataset.path(index)))

    def open_mask(self, ds_type: DatasetType, index: int) -> Tensor | None:
        """The mask of that item as it is in validation, uint8 [1, H, W]; None where it has none. Raises BadImage."""
        item = self.dl(ds_type).dataset[index]
        if item.label is None or self._targets is None or self.kind is not LabelKind.MASK:
            return None
        picture = self._pictures.picture(item.path)
        shape = (picture.shape[1], picture.shape[2])
        return self._targets.cut(item, shape, self._pictures.resize.window(shape, CENTRE, CENTRE))


def load_data(
    path: Path | str,
    file: str = "data_save.json",
    bs: int = 64,
    val_bs: int | None = None,
    num_workers: int | None = None,
    device: torch.device | str | None = None,
    no_check: bool = False,
) -> ImageDataBunch:
    """What `ImageDataBunch.save` wrote (fastai's function)."""
    return ImageDataBunch.load_data(path, file, bs, val_bs, num_workers, device, no_check)


def _checked_size(spec: DataSpec) -> tuple[int, int]:
    if spec.resize_method is ResizeMethod.NO and not spec.size:
        return 0, 0
    if len(spec.size) != 2 or min(spec.size) < 1:
        raise LearnerError("data.size", f"{tuple(spec.size)} is not (rows, columns) in pixels, each at least 1")
    return spec.size[0], spec.size[1]


def _loss_of(kind: LabelKind) -> Loss:
    if kind is LabelKind.BOXES:
        return needs_a_loss
    component = LOSS_OF_LABELS[kind]
    return build_loss(component.name, component.arguments)
