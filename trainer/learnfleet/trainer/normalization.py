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
    return Normalization("explicit", tuple(value[0]), tuple(value[1]))


def stats_of(normalization: Normalization, auto: Stats | None) -> Stats | None:
    """(mean, std), or None for none. `auto`: what `auto` means; None: ImageNet's. Raises LearnerError."""
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
