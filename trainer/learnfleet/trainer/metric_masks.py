"""Metrics of masks (segmentation), from counts of pixels over a whole data set."""

from __future__ import annotations

import math
from collections.abc import Callable

from torch import Tensor

from learnfleet.trainer.metric_counts import Hits, hits_of_classes
from learnfleet.trainer.metrics import misfit


class _Masks(Hits):
    """Counts of pixels (both, predicted, true) of each class, of outputs [N, C, H, W] and targets [N, 1, H, W].

    Args:
        void_code: pixels of this class count nowhere.
    """

    def __init__(self, void_code: int | None = None) -> None:
        super().__init__()
        self.void_code = void_code

    def count(self, output: Tensor, target: Tensor) -> Tensor:
        classes = output.shape[1]
        predicted, true = output.argmax(dim=1).reshape(-1), target.reshape(-1).long()
        if len(predicted) != len(true):
            raise misfit(self.name, output, target)
        if self.void_code is not None:
            counted = true != self.void_code
            predicted, true = predicted[counted], true[counted]
        return hits_of_classes(predicted, true, classes)


class Dice(_Masks):
    """2 |P T| / (|P| + |T|) of class 1, of all pixels of the data set (fastai v2)."""

    def of_hits(self, hits: Tensor, predicted: Tensor, true: Tensor) -> float:
        total = predicted[1] + true[1]
        return float(2 * hits[1] / total) if total else math.nan


class JaccardCoeff(_Masks):
    """|P T| / |P or T| of class 1, of all pixels of the data set (fastai v2)."""

    def of_hits(self, hits: Tensor, predicted: Tensor, true: Tensor) -> float:
        union = predicted[1] + true[1] - hits[1]
        return float(hits[1] / union) if union else math.nan


class DiceMulti(_Masks):
    """Mean over the classes that occur of 2 |P T| / (|P| + |T|) (fastai v2)."""

    def of_hits(self, hits: Tensor, predicted: Tensor, true: Tensor) -> float:
        total = predicted + true
        return float((2 * hits[total > 0] / total[total > 0]).mean())


class JaccardCoeffMulti(_Masks):
    """Mean over the classes that occur of |P T| / |P or T| (mean IoU; fastai v2)."""

    def of_hits(self, hits: Tensor, predicted: Tensor, true: Tensor) -> float:
        union = predicted + true - hits
        return float((hits[union > 0] / union[union > 0]).mean())


ALL: tuple[Callable[..., object], ...] = (
    Dice,
    DiceMulti,
    JaccardCoeff,
    JaccardCoeffMulti,
)
