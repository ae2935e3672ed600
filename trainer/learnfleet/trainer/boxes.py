"""Boxes with classes as targets: a few of each picture, of which batches have as many as their fullest one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import default_collate

from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.images import Window
from learnfleet.trainer.listing import Boxes, Item
from learnfleet.trainer.points import PointPlaces
from learnfleet.trainer.resize import Resize
from learnfleet.trainer.transforms import AugmentParameters, BatchAugment

PAD_CLASS = 0  # "background": rows that only fill up
_CORNERS = (0, 1, 0, 3, 2, 1, 2, 3)  # y and x of the four corners, of top, left, bottom, right
_UNSUPPORTED = "what a detector's outputs mean is known to its author alone"


class BoxTargets:
    """While they are made: float32 [N, most boxes of a picture, 5] of top, left, bottom, right and class.

    Where a picture is turned or warped, its boxes are the upright ones around their moved corners. What is left of a
    box within the picture stays; a box without any area there becomes a row of zeros before the others.
    """

    def __init__(self, root: Path, resize: Resize, most_boxes: int) -> None:
        self._places, self._most = PointPlaces(root, resize), max(1, most_boxes)

    def check(self, item: Item, shape: tuple[int, int]) -> None:
        self._places.size_of(item.path)

    def cut(self, item: Item, shape: tuple[int, int], window: Window) -> Tensor:
        rows = torch.zeros(self._most, 5)
        if isinstance(item.label, Boxes) and item.label.classes:
            corners = torch.tensor(item.label.corners, dtype=torch.float64).view(-1, 2)
            placed = self._places.placed(item.path, corners, shape, window).view(-1, 4)
            rows[-len(placed) :] = torch.cat((placed, torch.tensor(item.label.classes).view(-1, 1)), dim=1)
        return rows

    def finish(
        self, targets: Tensor, moves: tuple[BatchAugment, AugmentParameters] | None, size: tuple[int, int]
    ) -> Tensor:
        boxes, classes = targets[..., :4], targets[..., 4:]
        if moves is not None:
            augment, parameters = moves
            corners = boxes[..., _CORNERS].reshape(len(boxes), 4 * boxes.shape[1], 2)
            moved = augment.apply_to_points(corners, parameters, size).view(*boxes.shape[:2], 4, 2)
            boxes = torch.cat((moved.amin(dim=2), moved.amax(dim=2)), dim=2)
        boxes = boxes.clamp(-1, 1)
        stays = ((boxes[..., 2:] > boxes[..., :2]).all(dim=2, keepdim=True)) & (classes != PAD_CLASS)
        rows = torch.where(stays, torch.cat((boxes, classes), dim=2), 0.0)
        order = stays.int().argsort(dim=1, stable=True)
        return rows.gather(1, order.expand_as(rows))

    def batched(self, targets: Tensor) -> tuple[Tensor, Tensor]:
        """(boxes float32 [N, B, 4], classes int64 [N, B]): B boxes has the picture with the most, and 1 at least."""
        most = max(1, int((targets[..., 4] != PAD_CLASS).sum(dim=1).max())) if len(targets) else 1
        kept = targets[:, -most:]
        return kept[..., :4].contiguous(), kept[..., 4].long()


def bb_pad_collate(samples: Sequence[Any], pad_idx: int = PAD_CLASS) -> tuple[Tensor, Any]:
    """Items (picture [3, H, W], (boxes [b, 4], classes [b])) as a batch: boxes float32 [N, B, 4] and classes int64
    [N, B], filled up in front with zeros and `pad_idx` (fastai's function, for a `DataBunch` of your own dataset).
    """
    if isinstance(samples[0][1], int):  # test items
        x, y = default_collate(list(samples))
        return x, y
    most = max(len(classes) for _, (_, classes) in samples)
    boxes = torch.zeros(len(samples), most, 4)
    classes = torch.full((len(samples), most), pad_idx)
    for row, (_, (own, names)) in enumerate(samples):
        if len(names):
            boxes[row, -len(names) :] = torch.as_tensor(own, dtype=torch.float32)
            classes[row, -len(names) :] = torch.as_tensor(names)
    return torch.stack([picture for picture, _ in samples]), (boxes, classes)


def needs_a_loss(*_: object) -> Tensor:
    """In the place of a loss where none suits the labels."""
    raise LearnerError("loss_func", "boxes need a loss of your own: a function of (output, boxes, classes)")


def not_of_boxes(field: str) -> LearnerError:
    """What cannot be done with boxes."""
    return LearnerError(field, f"is not offered for boxes: {_UNSUPPORTED}. Call learn.model on batches instead")
