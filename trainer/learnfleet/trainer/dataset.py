"""The labelled files of one part (training or validation) of a data bunch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from learnfleet.trainer.folder import Item


@dataclass(frozen=True)
class ImageDataset:
    """Files and labels; pictures are opened by a PictureStore."""

    items: tuple[Item, ...]
    classes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> Item:
        return self.items[index]

    def __iter__(self) -> Iterator[Item]:
        return iter(self.items)

    def path(self, index: int) -> Path:
        return self.items[index].path

    def label(self, index: int) -> str:
        """The class name of an item."""
        return self.classes[self.items[index].label]

    def labels(self) -> Tensor:
        """Class indices of all items, int64 [N]."""
        return torch.tensor([item.label for item in self.items], dtype=torch.int64)
