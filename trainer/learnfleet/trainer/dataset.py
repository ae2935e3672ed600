"""The labelled files of one part (training, validation or test) of a data bunch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

import torch
from torch import Tensor

from learnfleet.trainer.data_spec import LabelKind
from learnfleet.trainer.dataset_views import Inputs, Targets
from learnfleet.trainer.listing import Boxes, Item, Label


class DatasetType(IntEnum):
    """Which items, and how they are loaded (fastai's numbers)."""

    Train = 1  # shuffled, augmented, full batches only
    Valid = 2
    Test = 3
    Single = 4  # one item at a time
    Fix = 5  # the training items with the validation transforms, in order and complete


@dataclass(frozen=True)
class ImageDataset:
    """Files and targets; pictures are opened by a PictureStore."""

    items: tuple[Item, ...]
    classes: tuple[str, ...]
    kind: LabelKind = LabelKind.CATEGORY

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> Item:
        return self.items[index]

    def __iter__(self) -> Iterator[Item]:
        return iter(self.items)

    @property
    def c(self) -> int:
        """Classes, or numbers an item."""
        return len(self.classes)

    @property
    def x(self) -> Inputs:
        return Inputs(self.items)

    @property
    def y(self) -> Targets:
        return Targets(self.items, self.classes, self.kind)

    def path(self, index: int) -> Path:
        return self.items[index].path

    def label(self, index: int) -> str:
        """The target of an item as text: its class, its labels or those of its boxes as "a;b", its numbers, y and x of
        its points, the name of its file.
        """
        return describe(self.items[index].label, self.classes, self.kind)

    def labels(self) -> Tensor:
        """Targets of all items: int64 [N] class indices, float32 [N, C] of 0 and 1 for several labels, float32 [N] or
        [N, values] of numbers, int64 [N] zeros where nothing is known. Targets that follow their pictures: zeros too.
        """
        if self.kind is LabelKind.CATEGORY:
            return torch.tensor([_category(item.label) for item in self.items], dtype=torch.int64)
        if self.kind is LabelKind.MULTI_CATEGORY:
            hot = torch.zeros(len(self), self.c)
            for row, item in enumerate(self.items):
                if isinstance(item.label, tuple):
                    hot[row, [int(index) for index in item.label]] = 1
            return hot
        if self.kind is LabelKind.FLOAT:
            rows = [item.label if isinstance(item.label, tuple) else (0.0,) * self.c for item in self.items]
            values = torch.tensor(rows, dtype=torch.float32).reshape(len(self), self.c)
            return values.squeeze(1) if self.c == 1 else values
        return torch.zeros(len(self), dtype=torch.int64)


def _category(label: Label) -> int:
    return label if isinstance(label, int) else 0


def describe(label: Label, classes: tuple[str, ...], kind: LabelKind) -> str:
    """A target as text."""
    if label is None:
        return ""
    if isinstance(label, int):
        return classes[label]
    if isinstance(label, Path):
        return label.name
    if isinstance(label, Boxes):
        return ";".join(classes[index] for index in label.classes)
    if kind is LabelKind.MULTI_CATEGORY:
        return ";".join(classes[int(index)] for index in label)
    return ", ".join(f"{value:g}" for value in label)
