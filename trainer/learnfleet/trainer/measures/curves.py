"""How well each class is told from all others, at every threshold: ROC and precision-recall curves, by torchmetrics.

Sources: Fawcett, "An introduction to ROC analysis", 2006; Davis, Goadrich, "The relationship between precision-recall
and ROC curves", 2006.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torchmetrics.functional.classification import (
    binary_auroc,
    binary_average_precision,
    binary_precision_recall_curve,
    binary_roc,
)

_POINTS = 200  # of a curve, at most: more are not to be seen
_POINTS_OF_ALL = 20_000
_LEAST_POINTS = 20

Floats = tuple[float, ...]


@dataclass(frozen=True)
class Curves:
    """Of one class against all others. A curve of many items has some of its points; areas are of all."""

    name: str
    auroc: float | None  # area under the ROC curve; None: none, or all, are of the class
    average_precision: float | None  # sum of precision x gain in recall; None: as auroc
    false_positive_rates: Floats = ()  # rising
    true_positive_rates: Floats = ()
    recalls: Floats = ()  # rising
    precisions: Floats = ()


def curves_of_classes(probabilities: Tensor, actual: Tensor, names: list[str]) -> list[Curves]:
    """Of one class an item: probabilities [N, C], or [N, 1] of a single output that says yes; indices [N]."""
    if probabilities.shape[1] == 1:
        return [_curves(names[1], probabilities[:, 0], actual == 1, 1)]
    return [
        _curves(name, probabilities[:, place], actual == place, probabilities.shape[1])
        for place, name in enumerate(names[: probabilities.shape[1]])
    ]


def curves_of_labels(probabilities: Tensor, actual: Tensor, names: list[str]) -> list[Curves]:
    """Of any number of labels an item, both [N, C]."""
    return [
        _curves(name, probabilities[:, place], actual[:, place] > 0.5, len(names))
        for place, name in enumerate(names[: probabilities.shape[1]])
    ]


def _curves(name: str, scores: Tensor, truth: Tensor, n_classes: int) -> Curves:
    if not truth.any() or truth.all():
        return Curves(name, None, None)
    scores, target = scores.double(), truth.long()
    false, true, _ = binary_roc(scores, target)
    precision, recall, _ = binary_precision_recall_curve(scores, target)
    points = max(_LEAST_POINTS, min(_POINTS, _POINTS_OF_ALL // n_classes))
    roc = _thinned(torch.stack((false, true)), points)
    pr = _thinned(torch.stack((recall, precision)).flip(1), points)
    return Curves(
        name,
        float(binary_auroc(scores, target)),
        float(binary_average_precision(scores, target)),
        *(tuple(row) for row in (*roc.tolist(), *pr.tolist())),
    )


def _thinned(curve: Tensor, points: int) -> npt.NDArray[np.float64]:
    """A curve [2, P] of at most so many points, evenly along its length, the ends among them."""
    values: npt.NDArray[np.float64] = curve.double().numpy()
    if values.shape[1] <= points:
        return values
    length = np.concatenate(([0.0], np.abs(np.diff(values, axis=1)).sum(axis=0).cumsum()))
    kept = np.unique(np.searchsorted(length, np.linspace(0.0, length[-1], points)))
    kept[0], kept[-1] = 0, values.shape[1] - 1
    return values[:, np.unique(kept)]
