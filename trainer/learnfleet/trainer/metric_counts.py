"""What metrics of classes, labels and masks note: counts, which are added up over batches and ranks of any size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from learnfleet.trainer.callback import snake_case
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.metrics import misfit


def checked_average(metric: str, average: str | None, known: Sequence[str]) -> str:
    """`average`, with fastai's None as "none". Raises LearnerError for one that is not `known`."""
    if average is None:
        return "none"
    if average not in known:
        raise LearnerError(f"metrics.{metric}.average", f"{average!r} is not one of {', '.join(known)}")
    return average


class Counts:
    """Notes counts that are added up; the same shape whatever the batch."""

    def __init__(self) -> None:
        self._total: Tensor | None = None

    def reset(self) -> None:
        self._total = None

    @property
    def name(self) -> str:
        """The class's name in snake case, as fastai has it."""
        return snake_case(type(self).__name__)

    def update(self, output: Any, target: Any) -> None:
        try:
            counts = self.count(output, target).detach().double()
        except LearnerError:
            raise
        except (RuntimeError, IndexError, ValueError) as error:
            raise misfit(self.name, output, target) from error
        self._total = counts if self._total is None else self._total + counts

    def count(self, output: Tensor, target: Tensor) -> Tensor:
        """Of one batch."""
        raise LearnerError("metrics", f"{type(self).__name__} counts nothing")

    def sums(self) -> Tensor:
        return torch.empty(0, dtype=torch.float64) if self._total is None else self._total.cpu()


class Hits(Counts):
    """Counts of (true positives, predicted, true) of each class or label, [3, C]."""

    def value(self, sums: Tensor) -> float:
        if not sums.numel():
            return float("nan")
        hits, predicted, true = sums.reshape(3, -1)
        return self.of_hits(hits, predicted, true)

    def of_hits(self, hits: Tensor, predicted: Tensor, true: Tensor) -> float:
        """The value from the counts of each class, [C] each."""
        raise LearnerError("metrics", f"{type(self).__name__} gives nothing")


def hits_of_classes(predicted: Tensor, true: Tensor, n: int) -> Tensor:
    """Counts [3, n] of (right, predicted, true) of each class, from whole numbers in [0, n).

    Raises:
        LearnerError: for a target outside [0, n).
    """
    check_classes(true, n)
    right = torch.bincount(true[predicted == true], minlength=n)
    return torch.stack([right, predicted.bincount(minlength=n), true.bincount(minlength=n)])


def check_classes(true: Tensor, n: int) -> None:
    """Raises LearnerError for a target class outside [0, n)."""
    low, high = (int(end) for end in true.aminmax()) if true.numel() else (0, 0)
    if low < 0 or high >= n:
        raise LearnerError("metrics", f"targets are classes {low} to {high}, but outputs are of classes 0 to {n - 1}")
