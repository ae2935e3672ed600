"""Metrics of numbers (regression) over a whole data set. Outputs and targets are flattened."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from learnfleet.trainer.metric_rows import NumberRows


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


def _tensor(value: Any) -> Tensor:
    return torch.as_tensor(value)


ALL: tuple[Callable[..., object], ...] = (
    ExpRMSPE,
    ExplainedVariance,
    PearsonCorrCoef,
    R2Score,
    RMSE,
    SpearmanCorrCoef,
)
