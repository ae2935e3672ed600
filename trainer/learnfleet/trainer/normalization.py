"""Normalisation as users give it, as a specification, and as the numbers it stands for."""

from __future__ import annotations

from learnfleet.trainer.data_spec import Normalization
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.pixels import CIFAR, IMAGENET, MNIST, NAMED_STATS, Stats

# fastai's names.
imagenet_stats, cifar_stats, mnist_stats = IMAGENET, CIFAR, MNIST


def as_normalization(value: Stats | Normalization | None) -> Normalization:
    """What a user gives as `normalize`; None is none."""
    if isinstance(value, Normalization):
        return value
    if value is None:
        return Normalization("none")
    return Normalization("explicit", *checked_stats(value, "normalize"))


def checked_stats(value: object, field: str) -> Stats:
    """(mean, std) as floats. Raises LearnerError unless there are three means and three positive stds."""
    try:
        mean, std = (tuple(float(part) for part in channel) for channel in value)  # type: ignore[attr-defined]
    except (TypeError, ValueError):
        names = "imagenet_stats, cifar_stats and mnist_stats"
        raise LearnerError(field, f"{value!r} is not (means, stds) of pixels in [0, 1], as {names} are") from None
    if len(mean) != 3 or len(std) != 3 or not min(std) > 0:
        raise LearnerError(field, f"needs three means and three positive stds, not {mean} and {std}")
    return mean, std


def stats_of(normalization: Normalization, auto: Stats | None) -> Stats | None:
    """(mean, std), or None for none. `auto`: what `auto` means; None: ImageNet's. Raises LearnerError."""
    if normalization.kind == "auto":
        return auto or IMAGENET
    if normalization.kind == "explicit":
        return _explicit(normalization)
    return None if normalization.kind == "none" else NAMED_STATS[normalization.kind]


def _explicit(normalization: Normalization) -> Stats:
    return checked_stats((normalization.mean or (), normalization.std or ()), "data.normalization")
