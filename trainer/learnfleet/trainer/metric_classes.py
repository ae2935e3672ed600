"""Metrics of one class an item, over a whole data set (fastai's classes), from counts of right and wrong."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable

import torch
from torch import Tensor

from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.metric_counts import Counts, Hits, check_classes, checked_average, hits_of_classes
from learnfleet.trainer.metrics import misfit

_AVERAGES = ("binary", "micro", "macro", "weighted", "none")

_log = logging.getLogger(__name__)


class _ClassHits(Hits):
    """Counts of the classes with the greatest of the outputs [..., C]."""

    def count(self, output: Tensor, target: Tensor) -> Tensor:
        predicted, true = _classes(self.name, output, target)
        return hits_of_classes(predicted, true, output.shape[-1])


class _ClassPairs(Counts):
    """Counts of (true, predicted) pairs of classes, [C, C]."""

    def count(self, output: Tensor, target: Tensor) -> Tensor:
        n = output.shape[-1]
        predicted, true = _classes(self.name, output, target)
        check_classes(true, n)
        return torch.bincount(true * n + predicted, minlength=n * n).reshape(n, n)

    def value(self, sums: Tensor) -> float:
        n = math.isqrt(sums.numel())
        return self.of_pairs(sums.reshape(n, n)) if n else math.nan

    def of_pairs(self, pairs: Tensor) -> float:
        """The value from the counts; rows are true classes."""
        raise LearnerError("metrics", f"{type(self).__name__} gives nothing")


def _classes(metric: str, output: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    if output.shape[:-1].numel() != target.numel():
        raise misfit(metric, output, target)
    return output.argmax(dim=-1).reshape(-1), target.reshape(-1).long()


class ConfusionMatrix(_ClassPairs):
    """Counts of (true, predicted) pairs; as a column of the table, the share of right ones.

    Attributes:
        matrix: after a validation: int64 [C, C], rows are true classes.
    """

    matrix: Tensor | None = None

    def of_pairs(self, pairs: Tensor) -> float:
        self.matrix = pairs.long()
        return float(pairs.trace() / pairs.sum())


class _Averaged(_ClassHits):
    """A value of each class, averaged.

    Args:
        average: "binary" (of class `pos_label`; of more than two classes: "macro" with a warning, as fastai), "micro",
            "macro", "weighted" by the items of each class, or None or "none": the mean, with each class's value in
            `per_class`.
        pos_label: 0 or 1.
        eps: denominators are at least this, so that a class without predictions has 0.

    Classes that occur neither as target nor as prediction do not count; fastai v1 gives NaN for them.
    """

    def __init__(self, average: str | None = "binary", pos_label: int = 1, eps: float = 1e-9) -> None:
        super().__init__()
        self.average = checked_average(self.name, average, _AVERAGES)
        if pos_label not in (0, 1):
            raise LearnerError(f"metrics.{self.name}.pos_label", f"{pos_label!r} is not 0 or 1")
        self.pos_label, self.eps = pos_label, eps
        self.per_class: list[float] = []

    def of_hits(self, hits: Tensor, predicted: Tensor, true: Tensor) -> float:
        scores = self.score(hits, predicted, true)
        self.per_class = scores.tolist()
        average = self._average_of(len(scores))
        if average == "binary":
            return float(scores[self.pos_label])
        if average == "micro":
            return float(self.score(hits.sum(), predicted.sum(), true.sum()))
        if average == "weighted":
            return float((scores * true).sum() / true.sum())
        return float(scores[predicted + true > 0].mean())

    def _average_of(self, classes: int) -> str:
        if self.average == "binary" and classes > 2:
            _log.warning("%s: average='binary' is of two classes, not %d: it is now 'macro'", self.name, classes)
            self.average = "macro"
        return self.average

    def score(self, hits: Tensor, predicted: Tensor, true: Tensor) -> Tensor:
        """From counts, elementwise."""
        raise LearnerError("metrics", f"{type(self).__name__} gives nothing")


class Precision(_Averaged):
    """Share of the items predicted to be of a class that are."""

    def score(self, hits: Tensor, predicted: Tensor, true: Tensor) -> Tensor:
        return hits / predicted.clamp_min(self.eps)


class Recall(_Averaged):
    """Share of the items of a class that are predicted to be."""

    def score(self, hits: Tensor, predicted: Tensor, true: Tensor) -> Tensor:
        return hits / true.clamp_min(self.eps)


class FBeta(_Averaged):
    """(1 + beta^2) P R / (beta^2 P + R) of precision and recall."""

    def __init__(
        self, beta: float = 2.0, average: str | None = "binary", pos_label: int = 1, eps: float = 1e-9
    ) -> None:
        if not isinstance(beta, int | float) or not beta > 0:
            raise LearnerError("metrics.f_beta.beta", f"{beta!r} is not a number above 0: `FBeta(2.0, 'macro')`")
        super().__init__(average, pos_label, eps)
        self.beta = float(beta)

    def score(self, hits: Tensor, predicted: Tensor, true: Tensor) -> Tensor:
        squared = self.beta**2
        return (1 + squared) * hits / (squared * true + predicted).clamp_min(self.eps)


class F1Score(FBeta):
    """FBeta of beta 1."""

    def __init__(self, average: str | None = "binary", pos_label: int = 1, eps: float = 1e-9) -> None:
        super().__init__(1.0, average, pos_label, eps)


class BalancedAccuracy(_ClassHits):
    """Mean of the recalls of all classes that occur."""

    def of_hits(self, hits: Tensor, predicted: Tensor, true: Tensor) -> float:
        occurs = true > 0
        return float((hits[occurs] / true[occurs]).mean())


class KappaScore(_ClassPairs):
    """Cohen's kappa. `weights`: None, "linear" or "quadratic"."""

    def __init__(self, weights: str | None = None) -> None:
        super().__init__()
        if weights not in (None, "linear", "quadratic"):
            raise LearnerError("metrics.KappaScore.weights", f"{weights!r} is not None, 'linear' or 'quadratic'")
        self.weights = weights

    def of_pairs(self, pairs: Tensor) -> float:
        by_chance = torch.outer(pairs.sum(dim=1), pairs.sum(dim=0)) / pairs.sum()
        apart = self._weights_of(len(pairs))
        return float(1 - (apart * pairs).sum() / (apart * by_chance).sum())

    def _weights_of(self, n: int) -> Tensor:
        classes = torch.arange(n, dtype=torch.float64)
        apart = (classes[:, None] - classes[None, :]).abs()
        return (apart > 0).double() if self.weights is None else apart if self.weights == "linear" else apart**2


class CohenKappa(KappaScore):
    """fastai v2's name of KappaScore."""


class MatthewsCorreff(_ClassHits):
    """Matthews correlation coefficient, of any number of classes; 0 if all predictions or all targets are of one class.

    Source: Gorodkin, "Comparing two K-category assignments by a K-category correlation coefficient", 2004.
    """

    def of_hits(self, hits: Tensor, predicted: Tensor, true: Tensor) -> float:
        n = true.sum()
        spread = (n**2 - predicted.dot(predicted)) * (n**2 - true.dot(true))
        return float((hits.sum() * n - predicted.dot(true)) / spread.sqrt()) if spread else 0.0


class MatthewsCorrCoef(MatthewsCorreff):
    """fastai v2's name of MatthewsCorreff."""


class HammingLoss(_ClassHits):
    """Share of wrong classes."""

    def of_hits(self, hits: Tensor, predicted: Tensor, true: Tensor) -> float:
        return float(1 - hits.sum() / true.sum())


ALL: tuple[Callable[..., object], ...] = (
    BalancedAccuracy,
    CohenKappa,
    ConfusionMatrix,
    F1Score,
    FBeta,
    HammingLoss,
    KappaScore,
    MatthewsCorrCoef,
    MatthewsCorreff,
    Precision,
    Recall,
)
