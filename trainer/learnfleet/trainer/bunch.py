"""What every bunch of picture loaders can do, whatever its pictures are labelled with (fastai's DataBunch)."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from matplotlib.figure import Figure
from torch import Tensor

from learnfleet.trainer import data_files, show
from learnfleet.trainer.data_spec import DataSpec
from learnfleet.trainer.dataset import DatasetType, ImageDataset
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.images import BadImage, Source
from learnfleet.trainer.listing import FolderListing, Item
from learnfleet.trainer.loader import BatchFunction, ImageLoader
from learnfleet.trainer.sources import place_beneath

if TYPE_CHECKING:
    from learnfleet.trainer.pixels import Stats

_log = logging.getLogger(__name__)


class Bunch:
    """The parts of `ImageDataBunch` that only look at its loaders."""

    spec: DataSpec
    listing: FolderListing
    path: Path
    stats: Stats | None
    _loaders: dict[DatasetType, ImageLoader]

    def _make_loaders(self, bs: int, val_bs: int) -> None:
        raise LearnerError("data", "this bunch does not know how its loaders are made")

    def dl(self, ds_type: DatasetType) -> ImageLoader:
        """The loader of that part. Raises LearnerError if it has no picture."""
        loader = self._loaders[ds_type]
        if not len(loader.dataset):
            raise LearnerError("ds_type", f"this data has no {ds_type.name} pictures")
        return loader

    def _dl_or_none(self, ds_type: DatasetType) -> ImageLoader | None:
        loader = self._loaders[ds_type]
        return loader if len(loader.dataset) else None

    @property
    def train_dl(self) -> ImageLoader:
        return self._loaders[DatasetType.Train]

    @property
    def fix_dl(self) -> ImageLoader:
        return self._loaders[DatasetType.Fix]

    @property
    def valid_dl(self) -> ImageLoader | None:
        return self._dl_or_none(DatasetType.Valid)

    @property
    def test_dl(self) -> ImageLoader | None:
        return self._dl_or_none(DatasetType.Test)

    @property
    def single_dl(self) -> ImageLoader:
        return self._loaders[DatasetType.Single]

    @property
    def dls(self) -> list[ImageLoader]:
        """Training, validation, fix and single loader, and the test loader where there is one."""
        order = (DatasetType.Train, DatasetType.Valid, DatasetType.Fix, DatasetType.Single)
        return [*(self._loaders[ds_type] for ds_type in order), *([self.test_dl] if self.test_dl else [])]

    @property
    def train_ds(self) -> ImageDataset:
        return self.train_dl.dataset

    @property
    def fix_ds(self) -> ImageDataset:
        return self.fix_dl.dataset

    @property
    def valid_ds(self) -> ImageDataset:
        return self._loaders[DatasetType.Valid].dataset

    @property
    def single_ds(self) -> ImageDataset:
        return self.single_dl.dataset

    @property
    def test_ds(self) -> ImageDataset | None:
        return self.test_dl.dataset if self.test_dl else None

    @property
    def empty_val(self) -> bool:
        return not len(self.valid_ds)

    @property
    def is_empty(self) -> bool:
        """Whether it has transforms and classes but no picture (as after `load_learner`)."""
        return not any(len(loader.dataset) for loader in self._loaders.values())

    @property
    def batch_size(self) -> int:
        """Pictures per training step over all ranks. Setting it makes all loaders anew."""
        return self.train_dl.batch_size

    @batch_size.setter
    def batch_size(self, bs: int) -> None:
        if bs < 1:
            raise LearnerError("bs", f"{bs} is not possible: a batch has at least 1 picture")
        old = self._loaders
        self.spec = dataclasses.replace(self.spec, bs=bs, val_bs=None)
        self._make_loaders(bs, bs)
        for ds_type, loader in self._loaders.items():
            loader.take_settings(old[ds_type])

    def add_tfm(self, function: BatchFunction) -> None:
        """Apply `function(x, y) -> (x, y)` to every batch of every loader, on the device."""
        for loader in self._loaders.values():
            loader.batch_fns.append(function)

    def remove_tfm(self, function: BatchFunction) -> None:
        """Undo `add_tfm`; a function that was not added is no error."""
        for loader in self._loaders.values():
            if function in loader.batch_fns:
                loader.batch_fns.remove(function)

    def one_batch(
        self, ds_type: DatasetType = DatasetType.Train, detach: bool = True, denorm: bool = True, cpu: bool = True
    ) -> tuple[Tensor, Tensor]:
        """The first batch of a loader: (pictures [N, 3, H, W], targets).

        Args:
            detach: also from the graph of a batch function that has one.
            denorm: with pixels in [0, 1] instead of normalised ones.
            cpu: on the CPU.
        """
        with closing(self.dl(ds_type).epoch(0)) as batches:
            batch = next(iter(batches), None)
        if batch is None:
            raise LearnerError("ds_type", f"the {ds_type.name} loader has no batch: {self._why_empty(ds_type)}")
        x, y = batch.x, batch.y
        if detach:
            x, y = x.detach(), y.detach()
        if denorm:
            x = self.denormalize(x)
        return (x.cpu(), y.cpu()) if cpu else (x, y)

    def _why_empty(self, ds_type: DatasetType) -> str:
        loader = self._loaders[ds_type]
        return f"the batch size is {loader.batch_size} and it has {len(loader.dataset)} pictures"

    def denormalize(self, x: Tensor) -> Tensor:
        """Pixels in [0, 1] of normalised pictures."""
        raise LearnerError("data", "this bunch does not know how its pictures are normalised")

    def single_batch(self, images: Sequence[Source]) -> Tensor:
        """Pictures from anywhere with the validation transforms."""
        raise LearnerError("data", "this bunch does not open pictures")

    def one_item(self, item: Source | str, detach: bool = False, denorm: bool = False, cpu: bool = False) -> Tensor:
        """A picture from anywhere as a batch of one, with the validation transforms. Raises BadImage."""
        x = self.single_batch([Path(item) if isinstance(item, str) else item])
        x = self.denormalize(x) if denorm else x
        x = x.detach() if detach else x
        return x.cpu() if cpu else x

    def sanity_check(self) -> None:
        """Load the first training batch, and warn of what is wrong: the data may still be mended."""
        if not len(self.train_dl):
            _log.warning("training on this data will fail: %s", self._why_empty(DatasetType.Train))
            return
        wanted = list(range(min(self.batch_size, len(self.train_ds))))
        broken = [(index, error) for index in wanted if (error := self._error_of(index)) is not None]
        if broken:
            named = ", ".join(str(index) for index, _ in broken[:10])
            _log.warning(
                "%d of the first %d training pictures are broken (%s): %s",
                len(broken),
                len(wanted),
                named,
                broken[0][1],
            )
            return
        try:
            self.one_batch()
        except LearnerError as error:
            _log.warning("It's not possible to collate samples of your dataset together in a batch: %s", error.message)

    def _error_of(self, index: int) -> BadImage | None:
        try:
            self.open_item(DatasetType.Fix, index)
        except BadImage as error:
            return error
        return None

    def open_item(self, ds_type: DatasetType, index: int) -> Tensor:
        """Item `index` of that part as the model sees it in validation."""
        raise LearnerError("data", "this bunch does not open pictures")

    def show_batch(self, rows: int = 5, ds_type: DatasetType = DatasetType.Train, reverse: bool = False) -> Figure:
        """The first rows x rows pictures of a batch with their targets, denormalised; fewer where the batch is smaller.

        Args:
            reverse: the last of the batch, last first.
        """
        return show.batch_figure(self, rows, ds_type, reverse)

    # --- test pictures

    def add_test(self, items: Sequence[Path | str]) -> None:
        """Pictures below the data's folder whose targets are not known (0): for `get_preds(DatasetType.Test)`."""
        places = [place_beneath(self.path, Path(item)) for item in items]
        self._set_test([self.path / place for place in places])

    def add_test_folder(self, test_folder: str = "test") -> None:
        """All pictures below a folder of the data's folder, as `add_test`."""
        from learnfleet.trainer.folder import FolderScan, inner_folder

        scan = FolderScan(self.path.resolve())
        self._set_test([found.path for found in scan.pictures(inner_folder(self.path, test_folder, "test_folder"))])

    def _set_test(self, paths: Sequence[Path]) -> None:
        self.listing = dataclasses.replace(self.listing, test=tuple(Item(path, None) for path in paths))
        old = self._loaders
        self._make_loaders(self.spec.bs, self.spec.val_bs or self.spec.bs)
        for ds_type, loader in self._loaders.items():
            loader.take_settings(old[ds_type])

    # --- files

    def save(self, file: str = "data_save.json") -> Path:
        """Write which pictures have which targets and parts, and how they become batches. Returns the file.

        JSON, where fastai writes a pickle. `load_data(path, file)` reads it.
        """
        return data_files.save(self.listed_spec(), self.stats, self.path / file)

    def export(self, file: str = "data_export.json") -> Path:
        """Write classes, transforms and normalisation, without any picture. `load_empty(path, file)` reads it."""
        empty = dataclasses.replace(self.spec, source="list", items=(), classes=tuple(self.listing.classes), test=None)
        return data_files.save(empty, self.stats, self.path / file)

    def listed_spec(self) -> DataSpec:
        """The specification with every picture in it, so that a folder that grows later does not change it."""
        parts: tuple[tuple[Any, Sequence[Item]], ...] = (
            ("train", self.listing.train),
            ("valid", self.listing.valid),
            ("test", self.listing.test),
        )
        items = [data_files.listed(self.path, item, part, self.listing) for part, found in parts for item in found]
        return dataclasses.replace(
            self.spec,
            source="list",
            items=tuple(items),
            classes=tuple(self.listing.classes),
            labels=self.listing.kind,
            test=None,
            log=False,
        )
