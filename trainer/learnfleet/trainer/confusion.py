"""Counts of what is taken for what, and the scores that follow from them. Classes that never occur have NaN."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

Counts = npt.NDArray[np.int64]
Scores = npt.NDArray[np.float64]


def confusion_counts(
    actual: Tensor, predicted: Tensor, n_classes: int, slice_size: int | None = None, ignore: int | None = None
) -> Counts:
    """Counts [C, C]: rows are actual classes, columns predicted ones. Targets that are no class are left out.

    Args:
        actual, predicted: integers of any shape, the same for both.
        slice_size: so many entries of the first dimension are counted at a time; None: all at once. The memory
            beside the counts grows with it, the result is the same.
        ignore: targets of this class are left out too.
    """
    counts = np.zeros(n_classes * n_classes, dtype=np.int64)
    for part in slices(len(actual), slice_size):
        _add(counts, actual[part], predicted[part], n_classes, ignore)
    return counts.reshape(n_classes, n_classes)


def slices(count: int, slice_size: int | None) -> list[slice]:
    """`count` items, so many at a time; None: all at once."""
    if slice_size is not None and slice_size < 1:
        raise ValueError(f"slice_size: {slice_size} items cannot be counted at a time; give at least 1, or None")
    step = slice_size or max(count, 1)
    return [slice(start, start + step) for start in range(0, count, step)]


def _add(counts: Counts, actual: Tensor, predicted: Tensor, n_classes: int, ignore: int | None) -> None:
    actual, predicted = actual.reshape(-1).long(), predicted.reshape(-1).long()
    known = (actual >= 0) & (actual < n_classes) & (predicted >= 0) & (predicted < n_classes)
    if ignore is not None:
        known &= actual != ignore
    places = (actual * n_classes + predicted)[known]
    if len(places) < len(counts):  # few items: not a whole matrix for them
        np.add.at(counts, places.numpy(), 1)
    else:
        counts += torch.bincount(places, minlength=len(counts)).numpy()


def confused_pairs(counts: Counts, classes: Sequence[str], min_val: int) -> list[tuple[str, str, int]]:
    """(actual, predicted, count) off the diagonal with at least `min_val`, most frequent first, ties row by row."""
    wrong = counts.copy()
    np.fill_diagonal(wrong, 0)
    found = [(classes[a], classes[p], int(wrong[a, p])) for a, p in np.argwhere(wrong >= max(min_val, 1)).tolist()]
    return sorted(found, key=lambda item: -item[2])


def row_shares(counts: Counts) -> Scores:
    """Each row by its sum; rows of classes that never occur are NaN."""
    return ratio(counts, counts.sum(axis=1, keepdims=True))


def label_pairs(actual: Tensor, predicted: Tensor, slice_size: int | None = None) -> Counts:
    """How often label a of bool [N, C] was missed in an item to which label p was wrongly given: [C + 1, C + 1].

    The last row and column stand for nothing missed, and nothing wrongly given.
    """
    size = actual.shape[1] + 1
    total = torch.zeros(size, size, dtype=torch.float64)
    for part in slices(len(actual), slice_size):
        missed, wrong = (
            _or_none(a & ~b) for a, b in ((actual[part], predicted[part]), (predicted[part], actual[part]))
        )
        total += missed.T @ wrong
    total[-1, -1] = 0  # items that are right
    counts: Counts = total.long().numpy()
    return counts


def _or_none(labels: Tensor) -> Tensor:
    """With a column more, for the items that have none."""
    return torch.cat((labels, ~labels.any(dim=1, keepdim=True)), dim=1).double()


def label_counts(actual: Tensor, predicted: Tensor) -> Counts:
    """For each label of bool [N, C]: [C, 2, 2], rows actual (no, yes), columns predicted (no, yes)."""
    n = len(actual)
    both, given, true = (actual & predicted).sum(0), predicted.sum(0), actual.sum(0)
    cells = torch.stack((n - given - true + both, given - both, true - both, both), dim=1)
    counts: Counts = cells.reshape(-1, 2, 2).numpy().astype(np.int64)
    return counts


@dataclass(frozen=True)
class ClassScores:
    """Of each class, float [C]; NaN where it is 0 / 0."""

    precision: Scores
    recall: Scores
    f1: Scores  # also the Dice coefficient of pixels
    iou: Scores
    support: Counts  # [C], how many there are

    @classmethod
    def of(cls, hits: Counts, given: Counts, true: Counts) -> ClassScores:
        """From the counts [C] of right answers, of all answers, and of what there is."""
        return cls(
            ratio(hits, given),
            ratio(hits, true),
            ratio(2 * hits, given + true),
            ratio(hits, given + true - hits),
            true,
        )

    @classmethod
    def of_classes(cls, counts: Counts) -> ClassScores:
        """From a confusion matrix [C, C]."""
        return cls.of(counts.diagonal().copy(), counts.sum(axis=0), counts.sum(axis=1))

    @classmethod
    def of_labels(cls, counts: Counts) -> ClassScores:
        """From one matrix for each label, [C, 2, 2]."""
        return cls.of(counts[:, 1, 1], counts[:, :, 1].sum(axis=1), counts[:, 1].sum(axis=1))


def ratio(part: Counts, whole: Counts) -> Scores:
    """part / whole, NaN where whole is 0."""
    part, whole = np.broadcast_arrays(part, whole)
    result = np.full(part.shape, np.nan)
    np.divide(part, whole, out=result, where=whole > 0)
    return result


def mean_of_known(values: Scores, weights: Counts | None = None) -> float:
    """The (weighted) mean of the values that are not NaN; NaN if there is none."""
    known = ~np.isnan(values)
    weight = np.ones(len(values)) if weights is None else weights.astype(np.float64)
    total = float(weight[known].sum())
    return float((values[known] * weight[known]).sum() / total) if total > 0 else float("nan")
