"""Metrics of scores: areas under curves and the Brier score. They need the score of every item of the data set."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import torch
from torch import Tensor

from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.metric_counts import checked_average
from learnfleet.trainer.metric_functions import auc_roc_score
from learnfleet.trainer.metric_rows import ProbabilityRows, Rows
from learnfleet.trainer.metrics import misfit


def average_precision(scores: Tensor, target: Tensor) -> Tensor:
    """Sum of precision times the rise of recall, a step a distinct score [N]; NaN without a target of 1."""
    order = scores.argsort(descending=True)
    scores, hits = scores[order], (target[order] == 1).double().cumsum(0)
    last = torch.cat([scores[1:] != scores[:-1], scores.new_ones(1, dtype=torch.bool)])
    found, taken = hits[last], (torch.arange(len(scores)) + 1.0)[last]
    return (found / taken * found.diff(prepend=found.new_zeros(1))).sum() / hits[-1]


def _averaged(area: Callable[[Tensor, Tensor], Tensor], scores: Tensor, labels: Tensor, average: str) -> float:
    """Mean of the areas of the columns [N, C], without those that have only zeros or only ones."""
    if average == "micro":
        return float(area(scores.flatten(), labels.flatten()))
    areas = torch.stack([area(scores[:, i], labels[:, i]) for i in range(scores.shape[1])])
    counted = ~areas.isnan()
    weights = labels.sum(dim=0) if average == "weighted" else torch.ones_like(areas)
    return float((areas * weights)[counted].sum() / weights[counted].sum())


class _OfTwoClasses(ProbabilityRows):
    """Of the probability of the last of two classes."""

    instead: ClassVar[str] = ""

    def of_rows(self, rows: Tensor) -> float:
        if rows.shape[1] != 3:
            raise LearnerError(f"metrics.{self.name}", f"it is of two classes, not {rows.shape[1] - 1}{self.instead}")
        return self.of_scores(rows[:, 1], rows[:, 2])

    def of_scores(self, scores: Tensor, true: Tensor) -> float:
        """From the probabilities of class 1 and the classes, [N] each."""
        raise LearnerError("metrics", f"{type(self).__name__} gives nothing")


class AUROC(_OfTwoClasses):
    """Area under the ROC curve of the last of two classes (fastai v1); NaN if only one occurs. Of more: RocAuc."""

    instead = ": use RocAuc"

    def of_scores(self, scores: Tensor, true: Tensor) -> float:
        return float(auc_roc_score(scores, true))


class RocAucBinary(AUROC):
    """fastai v2's name of AUROC."""


class RocAuc(ProbabilityRows):
    """Areas under the ROC curves of each class against the others; classes that do not occur do not count.

    Args:
        average: "macro", or "weighted" by the items of each class.
    """

    def __init__(self, average: str = "macro") -> None:
        super().__init__()
        self.average = checked_average(self.name, average, ("macro", "weighted"))

    def of_rows(self, rows: Tensor) -> float:
        scores, true = rows[:, :-1], rows[:, -1].long()
        return _averaged(auc_roc_score, scores, torch.nn.functional.one_hot(true, scores.shape[1]), self.average)


class APScoreBinary(_OfTwoClasses):
    """Average precision of the last of two classes; NaN if it does not occur."""

    def of_scores(self, scores: Tensor, true: Tensor) -> float:
        return float(average_precision(scores, true))


class BrierScore(_OfTwoClasses):
    """Mean squared difference of the last of two classes' probability and 0 or 1."""

    def of_scores(self, scores: Tensor, true: Tensor) -> float:
        return float((scores - true).pow(2).mean())


class _LabelScores(Rows):
    """Notes (scores, labels) of every item [N, C].

    Args:
        average: "micro", "macro", or "weighted" by how often each label is true.
    """

    def __init__(self, sigmoid: bool = True, average: str = "macro") -> None:
        super().__init__()
        self.sigmoid, self.average = sigmoid, checked_average(self.name, average, ("micro", "macro", "weighted"))

    def note(self, output: Tensor, target: Tensor) -> Tensor:
        if output.shape != target.shape:
            raise misfit(self.name, output, target)
        scores = output.double().sigmoid() if self.sigmoid else output.double()
        return torch.cat([scores, target], dim=1)

    def of_rows(self, rows: Tensor) -> float:
        scores, labels = rows.chunk(2, dim=1)
        return _averaged(self.area, scores, labels, self.average)

    def area(self, scores: Tensor, labels: Tensor) -> Tensor:
        """Of one label [N]."""
        raise LearnerError("metrics", f"{type(self).__name__} gives nothing")


class RocAucMulti(_LabelScores):
    """Areas under the ROC curves of labels; labels that are always or never true do not count."""

    def area(self, scores: Tensor, labels: Tensor) -> Tensor:
        return auc_roc_score(scores, labels)


class APScoreMulti(_LabelScores):
    """Average precisions of labels; labels that are never true do not count."""

    def area(self, scores: Tensor, labels: Tensor) -> Tensor:
        return average_precision(scores, labels)


ALL: tuple[Callable[..., object], ...] = (
    APScoreBinary,
    APScoreMulti,
    AUROC,
    BrierScore,
    RocAuc,
    RocAucBinary,
    RocAucMulti,
)
