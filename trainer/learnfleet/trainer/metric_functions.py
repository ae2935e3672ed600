"""Metrics that are a function of one batch's raw outputs and targets; an epoch's value is their mean by batch size.

The mean of a function that is not additive (a root, an F score) over batches is not its value over the whole set: for
those there are classes of the same purpose in `metric_numbers`, `metric_labels` and `metric_masks`.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from learnfleet.trainer.errors import LearnerError


def accuracy(output: Tensor, target: Tensor) -> Tensor:
    """Share of rows whose greatest output [..., C] is at the target's class."""
    return (output.argmax(dim=-1) == target.reshape(output.shape[:-1])).double().mean()


def error_rate(output: Tensor, target: Tensor) -> Tensor:
    """1 - accuracy."""
    return 1 - accuracy(output, target)


def top_k_accuracy(output: Tensor, target: Tensor, k: int = 5) -> Tensor:
    """Share of rows with the target's class among the k greatest outputs; k is limited to the number of classes."""
    if k < 1:
        raise LearnerError("metrics.top_k_accuracy.k", f"{k} is not possible: at least 1")
    best = output.topk(min(k, output.shape[-1]), dim=-1).indices
    return (best == target.reshape(output.shape[:-1]).unsqueeze(-1)).any(dim=-1).double().mean()


def accuracy_thresh(output: Tensor, target: Tensor, thresh: float = 0.5, sigmoid: bool = True) -> Tensor:
    """Share of labels [N, C] that are right when a label is predicted above `thresh`."""
    scores = output.sigmoid() if sigmoid else output
    return ((scores > thresh) == (target.reshape(output.shape) > 0.5)).double().mean()


def foreground_acc(output: Tensor, target: Tensor, void_code: int = 0) -> Tensor:
    """Share of pixels [N, C, H, W] of the right class, without those of the class `void_code`."""
    target = target.reshape(len(target), *output.shape[2:])
    counted = target != void_code
    return (output.argmax(dim=1) == target)[counted].double().mean().nan_to_num(1.0)


def fbeta(
    output: Tensor, target: Tensor, thresh: float = 0.2, beta: float = 2.0, eps: float = 1e-9, sigmoid: bool = True
) -> Tensor:
    """F score of each item's labels [N, C], averaged over items."""
    predicted = ((output.sigmoid() if sigmoid else output) > thresh).double()
    true = target.double()
    hits = (predicted * true).sum(dim=1)
    precision, recall = hits / (predicted.sum(dim=1) + eps), hits / (true.sum(dim=1) + eps)
    return ((1 + beta**2) * precision * recall / (precision * beta**2 + recall + eps)).mean()


def dice(output: Tensor, target: Tensor, iou: bool = False, eps: float = 1e-8) -> Tensor:
    """2 |P T| / (|P| + |T|) of binary masks (`iou`: |P T| / |P or T|) of each picture, averaged; two empty ones: 1.

    Args:
        output: [N, 2, H, W]. target: [N, 1, H, W] of 0 and 1.
    """
    predicted = output.argmax(dim=1).reshape(len(output), -1)
    true = (target == 1).reshape(len(target), -1)
    both = (predicted * true).sum(dim=1).double()
    total = (predicted + true).sum(dim=1).double()
    share = both / (total - both + eps) if iou else 2 * both / total.clamp_min(eps)
    return torch.where(total == 0, torch.ones_like(share), share).mean()


def _flat(output: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    if output.numel() != target.numel():
        shapes = f"{list(output.shape)} and {list(target.shape)}"
        raise LearnerError("metrics", f"outputs and targets must be as many numbers, not {shapes}")
    return output.reshape(-1).double(), target.reshape(-1).double()


def mean_squared_error(output: Tensor, target: Tensor) -> Tensor:
    """Mean of the squared differences."""
    p, t = _flat(output, target)
    return (p - t).pow(2).mean()


def mse(output: Tensor, target: Tensor) -> Tensor:
    """`mean_squared_error`."""
    return mean_squared_error(output, target)


def mean_absolute_error(output: Tensor, target: Tensor) -> Tensor:
    """Mean of the absolute differences."""
    p, t = _flat(output, target)
    return (p - t).abs().mean()


def mae(output: Tensor, target: Tensor) -> Tensor:
    """`mean_absolute_error`."""
    return mean_absolute_error(output, target)


def mean_squared_logarithmic_error(output: Tensor, target: Tensor) -> Tensor:
    """Mean of the squared differences of log(1 + x)."""
    p, t = _flat(output, target)
    return (torch.log1p(p) - torch.log1p(t)).pow(2).mean()


def msle(output: Tensor, target: Tensor) -> Tensor:
    """`mean_squared_logarithmic_error`."""
    return mean_squared_logarithmic_error(output, target)


def root_mean_squared_error(output: Tensor, target: Tensor) -> Tensor:
    """Root of the mean squared error."""
    return mean_squared_error(output, target).sqrt()


def rmse(output: Tensor, target: Tensor) -> Tensor:
    """`root_mean_squared_error`."""
    return root_mean_squared_error(output, target)


def exp_rmspe(output: Tensor, target: Tensor) -> Tensor:
    """Root of the mean squared relative difference of the exponentials."""
    p, t = _flat(output, target)
    return ((t.exp() - p.exp()) / t.exp()).pow(2).mean().sqrt()


def explained_variance(output: Tensor, target: Tensor) -> Tensor:
    """1 - variance of the differences / variance of the targets."""
    p, t = _flat(output, target)
    return 1 - (t - p).var() / t.var()


def r2_score(output: Tensor, target: Tensor) -> Tensor:
    """1 - squared differences / squared deviations of the targets from their mean."""
    p, t = _flat(output, target)
    return 1 - (t - p).pow(2).sum() / (t - t.mean()).pow(2).sum()


def psnr(output: Tensor, target: Tensor) -> Tensor:
    """Peak signal-to-noise ratio of values in [0, 1], in decibels."""
    return -10 * mean_squared_error(output, target).log10()


def auc_roc_score(scores: Tensor, target: Tensor) -> Tensor:
    """Area under the ROC curve of scores [N] and classes 0 and 1, by the trapezoid rule; ties are one step.

    NaN if only one of the classes occurs.
    """
    fpr, tpr = roc_curve(scores, target)
    return torch.trapezoid(tpr, fpr)


def roc_curve(scores: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """(false positive rates, true positive rates) from (0, 0) to (1, 1), a point a distinct score."""
    if scores.shape != target.shape or scores.ndim != 1:
        told = f"{list(scores.shape)} and {list(target.shape)}"
        raise LearnerError("metrics", f"a ROC curve is of one score and one class an item, not of {told}")
    order = scores.argsort(descending=True)
    scores, hits = scores[order], (target[order] == 1).double()
    last = torch.cat([scores[1:] != scores[:-1], scores.new_ones(1, dtype=torch.bool)]).nonzero().flatten()
    tp = hits.cumsum(0)[last]
    fp = last + 1 - tp
    rates = [torch.cat([part.new_zeros(1), part]) / part[-1] for part in (fp, tp)]
    return rates[0], rates[1]


ALL: tuple[Callable[..., Tensor], ...] = (
    accuracy,
    accuracy_thresh,
    dice,
    error_rate,
    exp_rmspe,
    explained_variance,
    fbeta,
    foreground_acc,
    mae,
    mean_absolute_error,
    mean_squared_error,
    mean_squared_logarithmic_error,
    mse,
    msle,
    psnr,
    r2_score,
    rmse,
    root_mean_squared_error,
    top_k_accuracy,
)
