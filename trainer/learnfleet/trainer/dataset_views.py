"""The two halves of a dataset by fastai's names: `data.valid_ds.x.items`, `data.valid_ds.y.items`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from learnfleet.trainer.data_spec import LabelKind
from learnfleet.trainer.label_items import Category, FloatItem, MultiCategory
from learnfleet.trainer.listing import Item, Label


@dataclass(frozen=True)
class Inputs:
    """The picture files of a dataset, in its order (`LabelList.x` of fastai v1). Nothing is decoded."""

    _of: tuple[Item, ...]

    @property
    def items(self) -> npt.NDArray[np.object_]:
        """Paths [N], to be picked by index, list or mask: `data.valid_ds.x.items[indices]`."""
        return _objects([item.path for item in self._of])

    def __len__(self) -> int:
        return len(self._of)

    def __getitem__(self, index: int) -> Path:
        return self._of[index].path

    def __iter__(self) -> Iterator[Path]:
        return (item.path for item in self._of)


@dataclass(frozen=True)
class Targets:
    """The targets of a dataset, in its order (`LabelList.y` of fastai v1)."""

    _of: tuple[Item, ...]
    classes: tuple[str, ...]
    kind: LabelKind

    @property
    def c(self) -> int:
        """Classes, or numbers an item."""
        return len(self.classes)

    @property
    def items(self) -> npt.NDArray[Any]:
        """[N]: class numbers (int64; -1 where nothing is known, as in a test set), tuples of class numbers for several
        labels, numbers (float32, [N, c] if there are several), paths of masks and other files, boxes or points.
        """
        labels = [item.label for item in self._of]
        if self.kind is LabelKind.CATEGORY:
            return np.array([label if isinstance(label, int) else -1 for label in labels], dtype=np.int64)
        if self.kind is LabelKind.FLOAT and all(isinstance(label, tuple) for label in labels):
            rows = np.array(labels, dtype=np.float32).reshape(len(labels), self.c)
            return rows[:, 0] if self.c == 1 else rows
        return _objects(labels)

    def __len__(self) -> int:
        return len(self._of)

    def __getitem__(self, index: int) -> Category | MultiCategory | FloatItem | Label:
        """A Category, MultiCategory or FloatItem; targets that follow their pictures as the loader gives them."""
        label = self._of[index].label
        if self.kind is LabelKind.CATEGORY and isinstance(label, int):
            return Category(label, self.classes[label])
        if self.kind is LabelKind.MULTI_CATEGORY and isinstance(label, tuple):
            numbers = [int(number) for number in label]
            hot = torch.zeros(self.c)
            hot[numbers] = 1
            return MultiCategory(hot, tuple(self.classes[number] for number in numbers))
        if self.kind is LabelKind.FLOAT and isinstance(label, tuple):
            return FloatItem(torch.tensor(label, dtype=torch.float32))
        return label

    def __iter__(self) -> Iterator[Category | MultiCategory | FloatItem | Label]:
        return (self[index] for index in range(len(self)))


def _objects(values: list[Any]) -> npt.NDArray[np.object_]:
    """Values as they are, also where NumPy would make a table of them."""
    found = np.empty(len(values), dtype=object)
    found[:] = values
    return found
