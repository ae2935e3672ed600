"""Metrics of pictures with several labels, of masks, and of texts."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from learnfleet.trainer.callback import snake_case
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.metrics import misfit

_MEANS = ("micro", "macro", "weighted", "none")


class _Counts:
    """Notes counts that are added up; the same shape whatever the batch."""

    def __init__(self) -> None:
        self._total: Tensor | None = None

    def reset(self) -> None:
        self._total = None

    @property
    def name(self) -> str:
        return snake_case(type(self).__name__)

    def update(self, output: Any, target: Any) -> None:
        try:
            counts = self.count(output, target).detach()
        except (RuntimeError, IndexError) as error:
            raise misfit(self.name, output, target) from error
        self._total = counts if self._total is None else self._total + counts

    def count(self, output: Tensor, target: Tensor) -> Tensor:
        """Of one batch."""
        raise LearnerError("metrics", f"{type(self).__name__} counts nothing")

    def sums(self) -> Tensor:
        return torch.empty(0, dtype=torch.float64) if self._total is None else self._total.cpu().double()


class _Labels(_Counts):
    """Counts of (true positives, predicted, true) of each label [N, C].

    Args:
        thresh: a label is predicted above this.
        average: "micro", "macro", "weighted" by how often each label is true, or "none": the mean, with each label's
            value in `per_class`.
    """

    def __init__(self, thresh: float = 0.5, sigmoid: bool = True, average: str = "macro") -> None:
        super().__init__()
        if average not in _MEANS:
            raise LearnerError(f"metrics.{self.name}.average", f"{average!r} is not one of {', '.join(_MEANS)}")
        self.thresh, self.sigmoid, self.average = thresh, sigmoid, average
        self.per_class: list[float] = []

    def count(self, output: Tensor, target: Tensor) -> Tensor:
        if output.shape != target.shape:
            raise misfit(self.name, output, target)
        predicted = ((output.sigmoid() if self.sigmoid else output) > self.thresh).double()
        true = (target > 0.5).double()
        return torch.stack([(predicted * true).sum(dim=0), predicted.sum(dim=0), true.sum(dim=0)])

    def value(self, sums: Tensor) -> float:
        hits, predicted, true = sums.reshape(3, -1)
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
        average: str = "micro",
    ) -> None:
        super().__init__(thresh, sigmoid, average)
        self.beta, self.eps = beta, eps

    def score(self, hits: Tensor, predicted: Tensor, true: Tensor) -> Tensor:
        precision, recall = hits / (predicted + self.eps), hits / (true + self.eps)
        squared = self.beta**2
        return (1 + squared) * precision * recall / (precision * squared + recall + self.eps)


class F1ScoreMulti(MultiLabelFbeta):
    """MultiLabelFbeta of beta 1 (fastai v2)."""

    def __init__(self, thresh: float = 0.5, sigmoid: bool = True, average: str = "macro") -> None:
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
        hits, predicted, true, items = sums.reshape(4, -1)
        return float(((predicted - hits) + (true - hits)).sum() / items.sum())


class _LabelScores:
    """Notes (scores, labels) of every item [N, C] for metrics of curves."""

    def __init__(self, sigmoid: bool = True, average: str = "macro") -> None:
        if average not in _MEANS[:3]:
            raise LearnerError("metrics.average", f"{average!r} is not one of {', '.join(_MEANS[:3])}")
        self.sigmoid, self.average = sigmoid, average
        self.reset()

    @property
    def name(self) -> str:
        return snake_case(type(self).__name__)

    def reset(self) -> None:
        self._noted: list[Tensor] = []

    def update(self, output: Tensor, target: Tensor) -> None:
        if output.shape != target.shape:
            raise misfit(self.name, output, target)
        scores = output.sigmoid() if self.sigmoid else output
        self._noted.append(torch.cat([scores, target], dim=1).detach().cpu().double())

    def rows(self) -> Tensor:
        return torch.cat(self._noted) if self._noted else torch.empty(0, 0, dtype=torch.float64)


class RocAucMulti(_LabelScores):
    """Areas under the ROC curves of labels."""

    def of_rows(self, rows: Tensor) -> float:
        from torchmetrics.functional.classification import multilabel_auroc

        scores, labels = rows.chunk(2, dim=1)
        return float(multilabel_auroc(scores, labels.long(), scores.shape[1], average=self.average))


class APScoreMulti(_LabelScores):
    """Average precisions of labels."""

    def of_rows(self, rows: Tensor) -> float:
        from torchmetrics.functional.classification import multilabel_average_precision

        scores, labels = rows.chunk(2, dim=1)
        return float(multilabel_average_precision(scores, labels.long(), scores.shape[1], average=self.average))


class _Masks(_Counts):
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
        both = torch.bincount(true[predicted == true], minlength=classes)
        return torch.stack([both, predicted.bincount(minlength=classes), true.bincount(minlength=classes)])

    def value(self, sums: Tensor) -> float:
        both, predicted, true = sums.reshape(3, -1)
        return self.score(both, predicted, true)

    def score(self, both: Tensor, predicted: Tensor, true: Tensor) -> float:
        """From pixels of each class."""
        raise LearnerError("metrics", f"{type(self).__name__} gives nothing")


class Dice(_Masks):
    """2 |P T| / (|P| + |T|) of class 1, of all pixels of the data set (fastai v2)."""

    def score(self, both: Tensor, predicted: Tensor, true: Tensor) -> float:
        total = predicted[1] + true[1]
        return float(2 * both[1] / total) if total else math.nan


class JaccardCoeff(_Masks):
    """|P T| / |P or T| of class 1, of all pixels of the data set (fastai v2)."""

    def score(self, both: Tensor, predicted: Tensor, true: Tensor) -> float:
        union = predicted[1] + true[1] - both[1]
        return float(both[1] / union) if union else math.nan


class DiceMulti(_Masks):
    """Mean over the classes that occur of 2 |P T| / (|P| + |T|) (fastai v2)."""

    def score(self, both: Tensor, predicted: Tensor, true: Tensor) -> float:
        total = predicted + true
        return float((2 * both[total > 0] / total[total > 0]).mean())


class JaccardCoeffMulti(_Masks):
    """Mean over the classes that occur of |P T| / |P or T| (mean IoU; fastai v2)."""

    def score(self, both: Tensor, predicted: Tensor, true: Tensor) -> float:
        union = predicted + true - both
        return float((both[union > 0] / union[union > 0]).mean())


class CorpusBLEUMetric:
    """BLEU of token numbers [N, steps] against targets [N, steps], over the whole corpus (Papineni et al. 2002).

    Args:
        n_grams: up to this length.
        pad: tokens of this number end a text. None: none does.
    """

    name = "corpus_bleu_metric"

    def __init__(self, n_grams: int = 4, pad: int | None = None) -> None:
        self.n_grams, self.pad = n_grams, pad
        self.reset()

    def reset(self) -> None:
        self._sums = torch.zeros(2 + 2 * self.n_grams, dtype=torch.float64)

    def update(self, output: Tensor, target: Tensor) -> None:
        predicted = output.argmax(dim=-1) if output.ndim == target.ndim + 1 else output
        for candidate, reference in zip(predicted.tolist(), target.tolist(), strict=True):
            self._note(self._cut(candidate), self._cut(reference))

    def _cut(self, tokens: list[int]) -> list[int]:
        return tokens[: tokens.index(self.pad)] if self.pad is not None and self.pad in tokens else tokens

    def _note(self, candidate: list[int], reference: list[int]) -> None:
        counts = [float(len(candidate)), float(len(reference))]
        for n in range(1, self.n_grams + 1):
            have, want = _grams(candidate, n), _grams(reference, n)
            counts += [sum(min(count, want.get(gram, 0)) for gram, count in have.items()), sum(have.values())]
        self._sums += torch.tensor(counts, dtype=torch.float64)

    def sums(self) -> Tensor:
        return self._sums

    def value(self, sums: Tensor) -> float:
        length, wanted, *pairs = sums.tolist()
        hits, totals = pairs[::2], pairs[1::2]
        if not length or min(hits) == 0:
            return 0.0
        brevity = 1.0 if length > wanted else math.exp(1 - wanted / length)
        logs = [math.log(hit / total) for hit, total in zip(hits, totals, strict=True)]
        return brevity * math.exp(sum(logs) / len(logs))


def _grams(tokens: list[int], n: int) -> dict[tuple[int, ...], int]:
    found: dict[tuple[int, ...], int] = {}
    for start in range(len(tokens) - n + 1):
        gram = tuple(tokens[start : start + n])
        found[gram] = found.get(gram, 0) + 1
    return found


ALL = (
    APScoreMulti,
    CorpusBLEUMetric,
    Dice,
    DiceMulti,
    F1ScoreMulti,
    HammingLossMulti,
    JaccardCoeff,
    JaccardCoeffMulti,
    MultiLabelFbeta,
    PrecisionMulti,
    RecallMulti,
    RocAucMulti,
)
