"""What an `ImageDataBunch` can do beside loading: test pictures, checks, drawings, files."""

from __future__ import annotations

import dataclasses
import logging
from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from matplotlib.figure import Figure
from torch import Tensor

from learnfleet.trainer import data_files, show
from learnfleet.trainer.data_spec import DataSpec
from learnfleet.trainer.dataset import DatasetType, ImageDataset
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.folder import FolderScan, inner_folder
from learnfleet.trainer.images import BadImage, Source
from learnfleet.trainer.listing import FolderListing, Item
from learnfleet.trainer.loader import ImageLoader
from learnfleet.trainer.loader_bunch import LoaderBunch
from learnfleet.trainer.sources import place_beneath

if TYPE_CHECKING:
    from learnfleet.trainer.pixels import Stats

_log = logging.getLogger(__name__)
_NAMED = 10  # broken pictures that a warning names
_LOOKED_AT = 64  # pictures that a check opens at most


class Bunch(LoaderBunch[ImageLoader, ImageDataset]):
    """The parts of `ImageDataBunch` that only look at its loaders.

    Attributes:
        root: the folder that all pictures lie below.
        path: where a learner writes; the root unless another is given.
    """

    spec: DataSpec
    listing: FolderListing
    root: Path
    path: Path
    stats: Stats | None

    @abstractmethod
    def _make_loaders(self, bs: int, val_bs: int) -> dict[DatasetType, ImageLoader]:
        """One for each DatasetType."""

    @abstractmethod
    def denormalize(self, x: Tensor) -> Tensor:
        """Pixels in [0, 1] of normalised pictures."""

    @abstractmethod
    def single_batch(self, images: Sequence[Source]) -> Tensor:
        """Pictures from anywhere with the validation transforms."""

    @abstractmethod
    def open_item(self, ds_type: DatasetType, index: int) -> Tensor:
        """Item `index` of that part as the model sees it in validation. Raises BadImage."""

    def _renew_loaders(self) -> None:
        old = self._loaders
        self._loaders = self._make_loaders(self.spec.bs, self.spec.val_bs or self.spec.bs)
        for ds_type, loader in self._loaders.items():
            loader.take_settings(old[ds_type])

    def _set_batch_size(self, bs: int) -> None:
        self.spec = dataclasses.replace(self.spec, bs=bs, val_bs=None)
        self._renew_loaders()

    def one_item(
        self, item: Source | str, detach: bool = False, denorm: bool = False, cpu: bool = False
    ) -> tuple[Tensor, Tensor]:
        """A picture from anywhere as a batch of one, with the validation transforms, and an empty target: 0.

        Raises BadImage.
        """
        x = self.single_batch([Path(item) if isinstance(item, str) else item])
        y = torch.zeros(1, dtype=torch.int64, device=x.device)
        return self._shown(x, detach, denorm, cpu), y.cpu() if cpu else y

    def sanity_check(self) -> None:
        """Load the first training batch, and warn of what is wrong: the data may still be mended."""
        broken = self._broken_of_first(min(self.batch_size, _LOOKED_AT)) if len(self.train_dl) else {}
        if not broken:
            super().sanity_check()
        else:
            _log.warning(
                "%d of the first %d training pictures are broken (items %s): %s",
                len(broken),
                min(self.batch_size, _LOOKED_AT, len(self.train_ds)),
                ", ".join(str(index) for index in list(broken)[:_NAMED]),
                next(iter(broken.values())),
            )

    def _broken_of_first(self, count: int) -> dict[int, BadImage | LearnerError]:
        found: dict[int, BadImage | LearnerError] = {}
        for index in range(min(count, len(self.train_ds))):
            try:
                self.open_item(DatasetType.Fix, index)
            except (BadImage, LearnerError) as error:
                found[index] = error
        return found

    def show_batch(
        self,
        rows: int = 5,
        ds_type: DatasetType = DatasetType.Train,
        reverse: bool = False,
        figsize: tuple[float, float] | None = None,
    ) -> Figure:
        """The first rows x rows pictures of a batch with their targets, denormalised; fewer where the batch is smaller.

        Args:
            reverse: the last of the batch, last first.
            figsize: width and height in inches. None: by the number of pictures.
        """
        return show.batch_figure(self, rows, ds_type, reverse, figsize)

    # --- test pictures

    def add_test(self, items: Sequence[Path | str]) -> None:
        """Pictures below the data's folder whose targets are not known (0): for `get_preds(DatasetType.Test)`."""
        places = [place_beneath(self.root, Path(item)) for item in items]
        self._set_test([self.root / place for place in places])

    def add_test_folder(self, test_folder: str = "test") -> None:
        """All pictures below a folder of the data's folder, as `add_test`."""
        folder = inner_folder(self.root, test_folder, "test_folder")
        self._set_test([found.path for found in FolderScan(self.root.resolve()).pictures(folder)])

    def _set_test(self, paths: Sequence[Path]) -> None:
        self.listing = dataclasses.replace(self.listing, test=tuple(Item(path, None) for path in paths))
        self._renew_loaders()

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
        items = [data_files.listed(self.root, item, part, self.listing) for part, found in parts for item in found]
        return dataclasses.replace(
            self.spec,
            source="list",
            items=tuple(items),
            classes=tuple(self.listing.classes),
            labels=self.listing.kind,
            test=None,
            log=False,
        )
