"""`ImageDataBunch`: labelled pictures in a folder, as loaders of batches (fastai v1's names)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, Self

import torch
from torch import Tensor

from learnfleet.trainer.batch import Shard
from learnfleet.trainer.dataset import ImageDataset
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.eval_transform import EvalTransform as EvalTransform
from learnfleet.trainer.folder import FolderListing, scan_folder
from learnfleet.trainer.images import BadImage, Source
from learnfleet.trainer.loader import ImageLoader, LoaderOptions
from learnfleet.trainer.pictures import DEFAULT_CACHE_BYTES, PictureStore
from learnfleet.trainer.pixels import IMAGENET, NAMED_STATS, NO_STATS, Stats
from learnfleet.trainer.resize import Resize
from learnfleet.trainer.spec import BadImagePolicy, DataSpec, Normalization, ResizeMethod, TransformSpec
from learnfleet.trainer.transforms import BatchAugment

if TYPE_CHECKING:
    from learnfleet.trainer.tta import Variant


class DatasetType(IntEnum):
    """Which pictures, and how they are loaded (fastai's numbers)."""

    Train = 1  # shuffled, augmented, full batches only
    Valid = 2
    Test = 3
    Single = 4
    Fix = 5  # the training pictures with the validation transforms, in order and complete


class ImageDataBunch:
    """Training and validation pictures of one folder.

    Attributes:
        train_dl, fix_dl: loaders of the training pictures, see DatasetType. `valid_dl` is None without validation.
        train_ds, valid_ds: their files and labels.
        stats: (mean, std) of the normalisation, None if there is none.
        bad_image: what happens to broken pictures.
    """

    def __init__(
        self,
        spec: DataSpec,
        listing: FolderListing,
        *,
        seed: int = 0,
        device: torch.device | None = None,
        stats: Stats | None = None,
        cache_bytes: int = DEFAULT_CACHE_BYTES,
        threads: int | None = None,
    ) -> None:
        """Args:
        seed: of shuffling and augmentation.
        cache_bytes: memory for decoded pictures, in this process.
        threads: that decode, in this process. None: up to 4.
        """
        rows, columns = _checked_size(spec.size)
        self.spec, self.listing, self._seed = spec, listing, seed
        self.path, self.device = Path(spec.path), device or torch.device("cpu")
        self.classes, self.bad_image = list(listing.classes), spec.bad_image
        self.train_ds = ImageDataset(listing.train, listing.classes)
        self.valid_ds = ImageDataset(listing.valid, listing.classes)
        self.stats: Stats | None = None
        self._pictures = PictureStore(self.path, Resize(rows, columns, spec.resize_method), cache_bytes)
        augment = None if spec.transforms is None else BatchAugment(spec.transforms, seed, rows / columns)

        def options(batch_size: int, shuffle: bool) -> LoaderOptions:
            return LoaderOptions(batch_size, self.device, shuffle, seed, spec.bad_image, threads)

        val_bs = spec.val_bs or spec.bs
        self.train_dl = ImageLoader(self.train_ds, self._pictures, options(spec.bs, True), augment)
        self.fix_dl = ImageLoader(self.train_ds, self._pictures, options(val_bs, False))
        self._valid_dl = ImageLoader(self.valid_ds, self._pictures, options(val_bs, False))
        if stats is not None:
            self.normalize(stats)

    @classmethod
    def from_spec(
        cls, spec: DataSpec, *, seed: int = 0, device: torch.device | None = None, stats: Stats | None = None
    ) -> Self:
        """The data of a learner.

        Args:
            stats: what `auto` normalisation means here: those of the weights. None: ImageNet's.

        Raises LearnerError if a folder is missing or holds no training picture.
        """
        listing = scan_folder(spec)
        if not listing.train:
            raise LearnerError("data.folder.path", f"no class folder with a training picture in {spec.path}")
        return cls(spec, listing, seed=seed, device=device, stats=_stats_of(spec.normalization, stats))

    @classmethod
    def from_folder(
        cls,
        path: Path | str,
        train: str = "train",
        valid: str = "valid",
        valid_pct: float | None = None,
        seed: int = 42,
        ds_tfms: TransformSpec | None = None,
        size: int | tuple[int, int] = 224,
        bs: int = 64,
        val_bs: int | None = None,
        normalize: Stats | Normalization | None = None,
        resize_method: ResizeMethod | None = None,
        bad_image: BadImagePolicy = BadImagePolicy.SKIP,
        device: torch.device | None = None,
    ) -> Self:
        """Pictures labelled by the folder they are in (fastai v1).

        Args:
            valid_pct: share in (0, 1) that validates, drawn with `seed`. None: there are `train` and `valid` folders.
            seed: of the split, the shuffling and the augmentation.
            ds_tfms: from `get_transforms()`. None: no augmentation.
            size: pixels; an int is square and crops, (rows, columns) squishes unless `resize_method` says otherwise.
            normalize: (mean, std), or a Normalization. None: none until `.normalize()` is called.
        """
        square = isinstance(size, int)
        method = resize_method or (ResizeMethod.CROP if square else ResizeMethod.SQUISH)
        spec = DataSpec(
            path=str(Path(path).resolve()),
            train=train,
            valid=valid,
            valid_pct=valid_pct,
            split_seed=seed,
            size=(size, size) if isinstance(size, int) else size,
            resize_method=method,
            bs=bs,
            val_bs=val_bs,
            transforms=ds_tfms,
            normalization=_as_normalization(normalize),
            bad_image=bad_image,
        )
        return cls.from_spec(spec, seed=seed, device=device)

    @property
    def c(self) -> int:
        """Number of classes."""
        return len(self.classes)

    @property
    def valid_dl(self) -> ImageLoader | None:
        return self._valid_dl if len(self.valid_ds) else None

    @property
    def on_bad_image(self) -> Callable[[BadImage], None] | None:
        """Called once for each broken picture, from the thread that found it."""
        return self._pictures.on_bad_image

    @on_bad_image.setter
    def on_bad_image(self, callback: Callable[[BadImage], None] | None) -> None:
        self._pictures.on_bad_image = callback

    @property
    def eval_transform(self) -> EvalTransform:
        """The validation transforms, for single pictures and for exports."""
        mean, std = self.stats or NO_STATS
        return EvalTransform(tuple(self.spec.size), self.spec.resize_method, mean, std)

    def dl(self, ds_type: DatasetType) -> ImageLoader:
        """The loader of that part. Raises LearnerError if there is none."""
        loaders = {DatasetType.Train: self.train_dl, DatasetType.Valid: self.valid_dl, DatasetType.Fix: self.fix_dl}
        loader = loaders.get(ds_type)
        if loader is None:
            raise LearnerError("ds_type", f"this data has no {ds_type.name} pictures")
        return loader

    def variant_dl(self, ds_type: DatasetType, variant: Variant, number: int) -> ImageLoader:
        """The pictures of that part, in order, each as this variant of itself. `number` seeds what is drawn."""
        from learnfleet.trainer.tta import VariantAugment

        rows, columns = self.spec.size
        spec = self.spec.transforms or TransformSpec(max_rotate=0, max_lighting=0, max_warp=0)
        augment = VariantAugment(spec, variant, self._seed + 1 + number, rows / columns)
        ds_type = DatasetType.Fix if ds_type is DatasetType.Train else ds_type
        return self.dl(ds_type).augmented(augment)

    def shard(self, shard: Shard) -> None:
        """From the next epoch on, all loaders yield this rank's part of every batch."""
        for loader in self._loaders:
            loader.shard(shard)

    def normalize(self, stats: Stats | None = None) -> Self:
        """Subtract the mean and divide by the std, each three values of pixels in [0, 1].

        Args:
            stats: None measures them on the first training batch.

        Raises LearnerError if the data is normalised already.
        """
        if self.stats is not None:
            raise LearnerError("normalize", "can not normalise twice: it is done already; make a new data bunch")
        mean, std = stats or self._measured_stats()
        self.stats = (tuple(mean), tuple(std))
        for loader in self._loaders:
            loader.stats = self.stats
        return self

    def denormalize(self, x: Tensor) -> Tensor:
        """Pixels in [0, 1] of normalised pictures [..., 3, H, W]."""
        mean, std = (torch.tensor(part, device=x.device).view(3, 1, 1) for part in self.stats or NO_STATS)
        return (x * std + mean).clamp(0, 1)

    def single_batch(self, images: Sequence[Source]) -> Tensor:
        """Pictures from anywhere with the validation transforms, float32 [N, 3, H, W] on the device.

        Raises BadImage.
        """
        return self.eval_transform(images).to(self.device)

    def open_item(self, ds_type: DatasetType, index: int) -> Tensor:
        """Item `index` of that part as the model sees it in validation, uint8 [3, H, W]. Raises BadImage."""
        resize = self._pictures.resize
        return resize.crop(self._pictures.picture(self.dl(ds_type).dataset.path(index)))

    @property
    def _loaders(self) -> tuple[ImageLoader, ...]:
        return self.train_dl, self.fix_dl, self._valid_dl

    def _measured_stats(self) -> Stats:
        with closing(self.fix_dl.epoch(0)) as batches:
            x = next(batches).x.double()
        mean, std = x.mean(dim=(0, 2, 3)), x.std(dim=(0, 2, 3))
        return tuple(mean.tolist()), tuple(std.tolist())


def _checked_size(size: Sequence[int]) -> tuple[int, int]:
    if len(size) != 2 or min(size) < 1:
        raise LearnerError("data.size", f"{tuple(size)} is not (rows, columns) in pixels, each at least 1")
    return size[0], size[1]


def _as_normalization(value: Stats | Normalization | None) -> Normalization:
    if isinstance(value, Normalization):
        return value
    if value is None:
        return Normalization("none")
    return Normalization("explicit", tuple(value[0]), tuple(value[1]))


def _stats_of(normalization: Normalization, auto: Stats | None) -> Stats | None:
    if normalization.kind == "auto":
        return auto or IMAGENET
    if normalization.kind == "explicit":
        return _explicit(normalization)
    return None if normalization.kind == "none" else NAMED_STATS[normalization.kind]


def _explicit(normalization: Normalization) -> Stats:
    mean, std = normalization.mean or (), normalization.std or ()
    if len(mean) != 3 or len(std) != 3 or min(std) <= 0:
        raise LearnerError(
            "data.normalization", f"explicit needs three means and three positive stds, not {mean} and {std}"
        )
    return mean, std
