"""From a model's activated outputs to what is predicted: a class, several, numbers, points, a mask, or a picture."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Real

import torch
from torch import Tensor, nn

from learnfleet.trainer.boxes import not_of_boxes
from learnfleet.trainer.data_spec import LabelKind
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.label_items import (
    Category,
    CategorySequence,
    FloatItem,
    ImageItem,
    ImagePoints,
    ImageSegment,
    Item,
    MultiCategory,
)
from learnfleet.trainer.losses import Loss, decodes_of
from learnfleet.trainer.pixels import NO_STATS, Stats

DEFAULT_THRESH = 0.5


def label_kind(loss: Loss, classes: Sequence[str], output: Tensor) -> LabelKind:
    """What a model with outputs [N, ...] is trained to say, by its loss.

    A loss that does not say what its outputs mean is taken for one of classes if there is one output for each.
    """
    if isinstance(loss, nn.MSELoss | nn.L1Loss | nn.SmoothL1Loss | nn.HuberLoss):
        return LabelKind.FLOAT
    decoded = decodes_of(loss)(output[:1])
    if decoded.dtype is torch.bool:
        return LabelKind.MASK if output.ndim == 4 else LabelKind.MULTI_CATEGORY
    if decoded.dtype.is_floating_point:
        has_classes = output.ndim in (2, 4) and len(classes) > 1 and output.shape[1] == len(classes)
        return _of_classes(output) if has_classes else LabelKind.FLOAT
    return _of_classes(output)


def _of_classes(output: Tensor) -> LabelKind:
    return LabelKind.MASK if output.ndim == 4 else LabelKind.CATEGORY


def thresh_of(loss: Loss) -> float:
    """From which probability on a label is predicted: the loss's own `thresh`, else 0.5."""
    return float(getattr(loss, "thresh", DEFAULT_THRESH))


def checked_thresh(thresh: object) -> float:
    """Raises LearnerError for what is no number."""
    if isinstance(thresh, Real) or (isinstance(thresh, Tensor) and thresh.numel() == 1):
        return float(thresh)
    raise LearnerError("thresh", f"one number for all labels is wanted, as 0.5, not {type(thresh).__name__}")


def void_of(loss: Loss) -> int | None:
    """The class that counts nowhere: the loss's `ignore_index`, where it is a class."""
    ignored = int(getattr(loss, "ignore_index", -1))
    return ignored if ignored >= 0 else None


def predicted_classes(activated: Tensor, thresh: float = DEFAULT_THRESH) -> Tensor:
    """The most probable class, int64: [N] of [N, C], and [N, H, W] of [N, C, H, W]; of a single output 0 or 1."""
    if activated.shape[1] == 1:
        return (activated[:, 0] >= thresh).long()
    return activated.argmax(dim=1)


def target_stats(data: object) -> Stats:
    """What targets that are pictures were normalised by."""
    stats: Stats | None = getattr(data, "stats", None)
    return stats if stats is not None and getattr(data, "normalizes_targets", False) else NO_STATS


def decode(
    kind: LabelKind, activated: Tensor, classes: Sequence[str], thresh: float, stats: Stats = NO_STATS
) -> tuple[Item, Tensor]:
    """(item, prediction) of one item's activated outputs.

    The prediction is, as in fastai: of a Category its index, int64 0-d (of one a place: [T]); of a MultiCategory zeros
    and ones, float [C]; of a FloatItem the numbers; of ImagePoints (y, x) of each, float [K, 2]; of an ImageSegment the
    mask, int64 [1, H, W]; of an ImageItem the outputs, float [3, H, W].

    Args:
        stats: of targets that are pictures, see `target_stats`.
    """
    if kind is LabelKind.MULTI_CATEGORY:
        chosen = activated >= thresh
        return MultiCategory(chosen.float(), names_of(chosen, classes)), chosen.float()
    if kind is LabelKind.MASK:
        mask = predicted_classes(activated.unsqueeze(0), thresh)
        return ImageSegment(mask), mask
    if kind is LabelKind.BOXES:
        raise not_of_boxes("predict")
    if kind is LabelKind.IMAGE:
        return ImageItem(as_pixels(activated, stats)), activated
    if kind is LabelKind.POINTS:
        points = activated.reshape(-1, 2)
        return ImagePoints(points), points
    if kind is LabelKind.FLOAT:
        return FloatItem(activated), activated
    index = activated.argmax(dim=-1)
    return _named(index, classes), index


def as_pixels(picture: Tensor, stats: Stats) -> Tensor:
    """Pixels in [0, 1] of a normalised picture [3, H, W]."""
    mean, std = (torch.tensor(part).view(-1, 1, 1) for part in stats)
    return (picture.float() * std + mean).clamp(0, 1)


def decode_target(kind: LabelKind, target: Tensor, classes: Sequence[str], stats: Stats = NO_STATS) -> Item:
    """The item that one target stands for."""
    if kind is LabelKind.MULTI_CATEGORY:
        return MultiCategory(target.float(), names_of(target > DEFAULT_THRESH, classes))
    if kind is LabelKind.MASK:
        return ImageSegment(target.reshape(1, *target.shape[-2:]).long())
    if kind is LabelKind.IMAGE:
        return ImageItem(as_pixels(target, stats))
    if kind is LabelKind.POINTS:
        return ImagePoints(target.reshape(-1, 2).float())
    if kind is LabelKind.FLOAT:
        return FloatItem(target.float())
    return _named(target, classes)


def _named(index: Tensor, classes: Sequence[str]) -> Item:
    """Of a class index 0-d, or of one a place [T]."""
    if index.ndim == 0:
        return category(int(index), classes)
    return CategorySequence(index, tuple(category(item, classes).obj for item in index.reshape(-1).tolist()))


def category(index: int, classes: Sequence[str]) -> Category:
    """A class by its number; those without a name are called by it."""
    return Category(index, str(classes[index]) if 0 <= index < len(classes) else str(index))


def names_of(chosen: Tensor, classes: Sequence[str]) -> tuple[str, ...]:
    """The names of the classes that are True in bool [C]."""
    return tuple(category(index, classes).obj for index in chosen.reshape(-1).nonzero().flatten().tolist())
