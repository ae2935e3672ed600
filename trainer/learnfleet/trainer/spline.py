"""A least-squares spline with few knots, for a curve that is read by eye."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from learnfleet.trainer.errors import LearnerError


def smoothen_by_spline(values: Sequence[float], k: int = 3) -> list[float]:
    """The values, smoothed by a spline of degree `k` over their index.

    The first of 0, 1, 3, 7, ... evenly spaced knots whose squared errors sum up to at most the number of points is
    taken: the rule of scipy's UnivariateSpline, which fastai v1 calls.
    """
    if not 1 <= k <= 5 or len(values) <= k:
        raise LearnerError("k", f"a spline of degree {k} needs k between 1 and 5 and more than {k} points")
    y, x = np.asarray(values, dtype=np.float64), np.linspace(0.0, 1.0, len(values))
    n_knots = 0
    while True:
        basis = _truncated_powers(x, k, n_knots)
        smooth = basis @ np.linalg.lstsq(basis, y, rcond=None)[0]
        if float(np.square(y - smooth).sum()) <= len(y) or 2 * n_knots + 1 + k >= len(y):
            return [float(value) for value in smooth]
        n_knots = 2 * n_knots + 1


def _truncated_powers(x: np.ndarray, k: int, n_knots: int) -> np.ndarray:
    knots = np.linspace(0.0, 1.0, n_knots + 2)[1:-1]
    bends = [np.clip(x - knot, 0.0, None) ** k for knot in knots]
    return np.stack([*(x**degree for degree in range(k + 1)), *bends], axis=1)
