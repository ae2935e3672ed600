"""Metrics of items with several labels, from counts of right and wrong over a whole data set."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.metric_counts import Hits, checked_average
from learnfleet.trainer.metrics import misfit

_AVERAGES = ("micro", "macro", "weighted", "none")


class _Labels(Hits):
    """Counts of (true positives, predicted, true) of each label [N, C].

    Args:
        thresh: a label is predicted above this.
        average: "micro", "macro", "weighted" by how often each label is true, or None or "none": the mean, with each
            label's value in `per_class`.
    """

    def __init__(self, thresh: float = 0.5, sigmoid: bool = True, average: str | None = "macro") -> None:
        super().__init__()
        self.average = checked_average(self.name, average, _AVERAGES)
        self.thresh, self.sigmoid = thresh, sigmoid
        self.per_class: list[float] = []

    def count(self, output: Tensor, target: Tensor) -> Tensor:
        if output.shape != target.shape:
            raise misfit(self.name, output, target)
        predicted = ((output.sigmoid() if self.sigmoid else output) > self.thresh).double()
        true = (target > 0.5).double()
        return torch.stack([(predicted * true).sum(dim=0), predicted.sum(dim=0), true.sum(dim=0)])

    def of_hits(self, hits: Tensor, predicted: Tensor, true: Tensor) -> float:
        self.per_class = self.score(hits, predicted, true).tolist()
        if self.average == "micro":
            return float(self.score(hits.sum(), predicted.sum(), true.sum()))
        if self.average == "weighted":
            return float((self.score(hits, predicted, true) * true).sum() / true.sum())
        return float(self.score(hits, predicted, true).mean())

    def score(self, hits: Tensor, predicted: Tensor, true: Tensor) -> Tensor:
        """From counts, elementwise."""
        raise LearnerError("metrics", f"{type(self).__name__} gives nothing")


class MultiLabelFbeta(_Labels):
    """F score of labels that are pooled over the data set."""

    def __init__(
        self,
        beta: float = 2.0,
        eps: float = 1e-15,
        thresh: float = 0.3,
        sigmoid: bool = True,
        average: str | None = "micro",
    ) -> None:
        super().__init__(thresh, sigmoid, average)
        self.beta, self.eps = beta, eps

    def score(self, hits: Tensor, predicted: Tensor, true: Tensor) -> Tensor:
        precision, recall = hits / (predicted + self.eps), hits / (true + self.eps)
        squared = self.beta**2
        return (1 + squared) * precision * recall / (precision * squared + recall + self.eps)


class F1ScoreMulti(MultiLabelFbeta):
    """MultiLabelFbeta of beta 1 (fastai v2)."""

    def __init__(self, thresh: float = 0.5, sigmoid: bool = True, average: str | None = "macro") -> None:
        super().__init__(1.0, 1e-15, thresh, sigmoid, average)


class PrecisionMulti(_Labels):
    """Share of the predicted labels that are true."""

    def score(self, hits: Tensor, predicted: Tensor, true: Tensor) -> Tensor:
        return hits / predicted.clamp_min(1)


class RecallMulti(_Labels):
    """Share of the true labels that are predicted."""

    def score(self, hits: Tensor, predicted: Tensor, true: Tensor) -> Tensor:
        return hits / true.clamp_min(1)


class HammingLossMulti(_Labels):
    """Share of wrong labels, predicted or not."""

    def count(self, output: Tensor, target: Tensor) -> Tensor:
        counts = super().count(output, target)
        return torch.cat([counts, counts.new_full((1, counts.shape[1]), len(target))])

    def value(self, sums: Tensor) -> float:
        if not sums.numel():
            return float("nan")
        hits, predicted, true, items = sums.reshape(4, -1)
        return float(((predicted - hits) + (true - hits)).sum() / items.sum())


ALL: tuple[Callable[..., object], ...] = (
    F1ScoreMulti,
    HammingLossMulti,
    MultiLabelFbeta,
    PrecisionMulti,
    RecallMulti,
)
