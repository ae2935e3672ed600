"""What a job tells of its data: classes and counts, and every picture that cannot be read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from learnfleet.trainer.dataset import DatasetType
from learnfleet.trainer.images import BadImage
from learnfleet.trainer.learner import LearnerData
from learnfleet.trainer.run_context import Emit
from learnfleet.trainer.spec import BadImagePolicy


class _Item(Protocol):
    @property
    def path(self) -> Path: ...


class _Dataset(Protocol):
    def __len__(self) -> int: ...
    @property
    def items(self) -> Any: ...  # a sequence of _Item


@runtime_checkable
class PictureData(Protocol):
    """Data made of picture files, as `ImageDataBunch` is."""

    on_bad_image: Callable[[BadImage], None] | None
    bad_image: BadImagePolicy
    train_ds: _Dataset
    valid_ds: _Dataset


class DataReporter:
    """Listens to a data bunch for the time of a job. Data that are no pictures have nothing to tell."""

    def __init__(self, data: LearnerData, emit: Emit, *, is_main: bool) -> None:
        self._data, self._emit, self._is_main = data, emit, is_main
        self._pictures = data if isinstance(data, PictureData) else None
        self._skipped: set[str] = set()
        if self._pictures is not None:
            self._before = self._pictures.on_bad_image
            self._pictures.on_bad_image = self._on_bad_image

    def close(self) -> None:
        """Stop listening."""
        if self._pictures is not None:
            self._pictures.on_bad_image = self._before

    def report(self) -> None:
        """Classes, and how many pictures there are."""
        if not self._is_main:
            return
        counts = {}
        if self._pictures is not None:
            counts = {"train": len(self._pictures.train_ds), "valid": len(self._pictures.valid_ds)}
        data = {"classes": list(self._data.classes), "counts": counts, "skipped": len(self._skipped)}
        self._emit("data", "data", data)

    def skipped_tensor(self) -> Tensor:
        """Pictures this rank had to leave out, int64 [1]: ranks read different ones, so they add up."""
        return torch.tensor([len(self._skipped)])

    def path_of(self, index: int, ds_type: DatasetType = DatasetType.Valid) -> str:
        """The file of an item, relative to the data's folder; empty for data that are no pictures."""
        if self._pictures is None:
            return ""
        is_train = ds_type in (DatasetType.Train, DatasetType.Fix)
        dataset = self._pictures.train_ds if is_train else self._pictures.valid_ds
        path = Path(dataset.items[index].path)
        return str(path.relative_to(self._data.path)) if path.is_relative_to(self._data.path) else str(path)

    def _on_bad_image(self, error: BadImage) -> None:
        """From any thread of the loader, on any rank."""
        assert self._pictures is not None
        path = str(error.path)
        self._skipped.add(path)
        data = {
            "path": path,
            "reason": error.reason,
            "policy": str(self._pictures.bad_image),
            "dataset": self._dataset_of(path),
        }
        self._emit(f"bad_image/{path}", "bad_image", data)

    def _dataset_of(self, path: str) -> str:
        assert self._pictures is not None
        return "valid" if any(str(item.path) == path for item in self._pictures.valid_ds.items) else "train"
