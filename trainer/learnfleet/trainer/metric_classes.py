"""Metrics over a whole data set (fastai's classes): right over batches and ranks of any size.

Classification metrics keep a predicted and a true class an item, curves keep scores, and torchmetrics calculates; it is
imported when a value is asked for, since that takes a second. Masks keep counts of pixels.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.loss_functions import flat_rows
from learnfleet.trainer.metric_rows import ClassRows, NumberRows, ProbabilityRows

_AVERAGES = ("binary", "micro", "macro", "weighted", "none")


class ConfusionMatrix(ClassRows):
    """Counts of (true, predicted) pairs; as a column of the table, the share of right ones.

    Attributes:
        matrix: after a validation: int64 [C, C], rows are true classes.
    """

    matrix: Tensor | None = None

    def of_classes(self, predicted: Tensor, true: Tensor, n: int) -> float:
        self.matrix = torch.bincount(true * n + predicted, minlength=n * n).reshape(n, n)
        return float((predicted == true).double().mean())


class _Averaged(ClassRows):
    """A value of each class, averaged.

    Args:
        average: "binary" (of class `pos_label`; of more than two classes: "macro", as fastai), "micro", "macro",
            "weighted" by the items of each class, or "none": the mean, with each class's value in `per_class`.

    Classes that occur neither as target nor as prediction do not count; fastai v1 gives NaN for them.
    """

    def __init__(self, average: str = "binary", pos_label: int = 1) -> None:
        super().__init__()
        if average not in _AVERAGES:
            raise LearnerError(f"metrics.{self.name}.average", f"{average!r} is not one of {', '.join(_AVERAGES)}")
        self.average, self.pos_label = average, pos_label
        self.per_class: list[float] = []

    def of_classes(self, predicted: Tensor, true: Tensor, n: int) -> float:
        if self.average == "none":
            self.per_class = self._score(predicted, true, n, "none").tolist()
            return float(self._score(predicted, true, n, "macro"))
        if self.average == "binary" and n > 2:
            return float(self._score(predicted, true, n, "macro"))
        if self.average == "binary":
            return float(self._score(predicted, true, n, "none")[self.pos_label])
        return float(self._score(predicted, true, n, self.average))

    def _score(self, predicted: Tensor, true: Tensor, n: int, average: str) -> Tensor:
        raise LearnerError("metrics", f"{type(self).__name__} gives nothing")


class Precision(_Averaged):
    """Share of the items predicted to be of a class that are."""

    def _score(self, predicted: Tensor, true: Tensor, n: int, average: str) -> Tensor:
        from torchmetrics.functional.classification import multiclass_precision

        return _tensor(multiclass_precision(predicted, true, n, average=average))


class Recall(_Averaged):
    """Share of the items of a class that are predicted to be."""

    def _score(self, predicted: Tensor, true: Tensor, n: int, average: str) -> Tensor:
        from torchmetrics.functional.classification import multiclass_recall

        return _tensor(multiclass_recall(predicted, true, n, average=average))


class FBeta(_Averaged):
    """(1 + beta^2) P R / (beta^2 P + R) of precision and recall."""

    def __init__(self, beta: float = 2.0, average: str = "binary", pos_label: int = 1) -> None:
        super().__init__(average, pos_label)
        self.beta = beta

    def _score(self, predicted: Tensor, true: Tensor, n: int, average: str) -> Tensor:
        from torchmetrics.functional.classification import multiclass_fbeta_score

        return _tensor(multiclass_fbeta_score(predicted, true, self.beta, n, average=average))


class F1Score(FBeta):
    """FBeta of beta 1."""

    def __init__(self, average: str = "binary", pos_label: int = 1) -> None:
        super().__init__(1.0, average, pos_label)


class BalancedAccuracy(ClassRows):
    """Mean of the recalls of all classes that occur."""

    def of_classes(self, predicted: Tensor, true: Tensor, n: int) -> float:
        from torchmetrics.functional.classification import multiclass_recall

        per_class = _tensor(multiclass_recall(predicted, true, n, average="none"))
        return float(per_class[torch.unique(true)].mean())


class KappaScore(ClassRows):
    """Cohen's kappa. `weights`: None, "linear" or "quadratic"."""

    def __init__(self, weights: str | None = None) -> None:
        super().__init__()
        if weights not in (None, "linear", "quadratic"):
            raise LearnerError("metrics.KappaScore.weights", f"{weights!r} is not None, 'linear' or 'quadratic'")
        self.weights = weights

    def of_classes(self, predicted: Tensor, true: Tensor, n: int) -> float:
        from torchmetrics.functional.classification import multiclass_cohen_kappa

        return float(multiclass_cohen_kappa(predicted, true, n, weights=self.weights))


class CohenKappa(KappaScore):
    """fastai v2's name of KappaScore."""


class MatthewsCorreff(ClassRows):
    """Matthews correlation coefficient, of any number of classes."""

    def of_classes(self, predicted: Tensor, true: Tensor, n: int) -> float:
        from torchmetrics.functional.classification import multiclass_matthews_corrcoef

        return float(multiclass_matthews_corrcoef(predicted, true, n))


class MatthewsCorrCoef(MatthewsCorreff):
    """fastai v2's name of MatthewsCorreff."""


class HammingLoss(ClassRows):
    """Share of wrong classes."""

    def of_classes(self, predicted: Tensor, true: Tensor, n: int) -> float:
        return float((predicted != true).double().mean())


class AUROC(ProbabilityRows):
    """Area under the ROC curve of the last of two classes (fastai v1). Of more classes: RocAuc."""

    def of_rows(self, rows: Tensor) -> float:
        from torchmetrics.functional.classification import binary_auroc

        if rows.shape[1] != 3:
            raise LearnerError("metrics", f"AUROC is of two classes, not {rows.shape[1] - 1}: use RocAuc")
        return float(binary_auroc(rows[:, 1], rows[:, 2].long()))


class RocAucBinary(AUROC):
    """fastai v2's name of AUROC."""


class RocAuc(ProbabilityRows):
    """Areas under the ROC curves of each class against the others. `average`: "macro" or "weighted"."""

    def __init__(self, average: str = "macro") -> None:
        super().__init__()
        if average not in ("macro", "weighted"):
            raise LearnerError("metrics.RocAuc.average", f"{average!r} is neither 'macro' nor 'weighted'")
        self.average = average

    def of_rows(self, rows: Tensor) -> float:
        from torchmetrics.functional.classification import multiclass_auroc

        p, true = rows[:, :-1].float(), rows[:, -1].long()
        return float(multiclass_auroc(p, true, p.shape[1], average=self.average))


class APScoreBinary(ProbabilityRows):
    """Average precision of the last of two classes."""

    def of_rows(self, rows: Tensor) -> float:
        from torchmetrics.functional.classification import binary_average_precision

        if rows.shape[1] != 3:
            raise LearnerError("metrics", f"APScoreBinary is of two classes, not {rows.shape[1] - 1}")
        return float(binary_average_precision(rows[:, 1], rows[:, 2].long()))


class BrierScore(ProbabilityRows):
    """Mean squared difference of the last of two classes' probability and 0 or 1."""

    def of_rows(self, rows: Tensor) -> float:
        if rows.shape[1] != 3:
            raise LearnerError("metrics", f"BrierScore is of two classes, not {rows.shape[1] - 1}")
        return float((rows[:, 1] - rows[:, 2]).pow(2).mean())


class R2Score(NumberRows):
    """1 - squared differences / squared deviations of the targets from their mean."""

    def of_numbers(self, p: Tensor, t: Tensor) -> float:
        from torchmetrics.functional.regression import r2_score

        return float(r2_score(p, t)) if len(t) > 1 else math.nan


class ExplainedVariance(NumberRows):
    """1 - variance of the differences / variance of the targets."""

    def of_numbers(self, p: Tensor, t: Tensor) -> float:
        from torchmetrics.functional.regression import explained_variance

        return float(_tensor(explained_variance(p, t)))


class RMSE(NumberRows):
    """Root of the mean squared difference."""

    def of_numbers(self, p: Tensor, t: Tensor) -> float:
        return float((p - t).pow(2).mean().sqrt())


class ExpRMSPE(NumberRows):
    """Root of the mean squared relative difference of the exponentials."""

    def of_numbers(self, p: Tensor, t: Tensor) -> float:
        return float(((t.exp() - p.exp()) / t.exp()).pow(2).mean().sqrt())


class PearsonCorrCoef(NumberRows):
    """Pearson's correlation of outputs and targets."""

    def of_numbers(self, p: Tensor, t: Tensor) -> float:
        from torchmetrics.functional.regression import pearson_corrcoef

        return float(pearson_corrcoef(p, t))


class SpearmanCorrCoef(NumberRows):
    """Spearman's correlation of the ranks of outputs and targets."""

    def of_numbers(self, p: Tensor, t: Tensor) -> float:
        from torchmetrics.functional.regression import spearman_corrcoef

        return float(spearman_corrcoef(p, t))


class Perplexity:
    """exp of the mean cross entropy of all tokens, [N, steps, C] against [N, steps]."""

    name = "perplexity"

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self._sums = torch.zeros(2, dtype=torch.float64)

    def update(self, output: Tensor, target: Tensor) -> None:
        total = F.cross_entropy(flat_rows(output, -1).float(), target.reshape(-1), reduction="sum")
        self._sums += torch.tensor([float(total), target.numel()], dtype=torch.float64)

    def sums(self) -> Tensor:
        return self._sums

    def value(self, sums: Tensor) -> float:
        return float((sums[0] / sums[1]).exp()) if sums[1] else math.nan


def _tensor(value: Any) -> Tensor:
    return torch.as_tensor(value)


_Maker = Callable[..., object]


ALL: tuple[_Maker, ...] = (
    APScoreBinary,
    AUROC,
    BalancedAccuracy,
    BrierScore,
    CohenKappa,
    ConfusionMatrix,
    ExpRMSPE,
    ExplainedVariance,
    F1Score,
    FBeta,
    HammingLoss,
    KappaScore,
    MatthewsCorrCoef,
    MatthewsCorreff,
    PearsonCorrCoef,
    Perplexity,
    Precision,
    R2Score,
    RMSE,
    Recall,
    RocAuc,
    RocAucBinary,
    SpearmanCorrCoef,
)
