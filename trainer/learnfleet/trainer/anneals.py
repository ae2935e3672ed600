"""How a value moves from a start to an end: functions of (start, end, share done in [0, 1]), by fastai's names."""

from __future__ import annotations

import math
from collections.abc import Callable

from learnfleet.trainer.errors import LearnerError

Anneal = Callable[[float, float, float], float]


def annealing_no(start: float, end: float, pct: float) -> float:
    """Stays at `start`."""
    return start


def annealing_linear(start: float, end: float, pct: float) -> float:
    """A straight line."""
    return start + pct * (end - start)


def annealing_exp(start: float, end: float, pct: float) -> float:
    """A straight line in the logarithm. `start` and `end` must have the same sign and not be 0."""
    return float(start * (end / start) ** pct)


def annealing_cos(start: float, end: float, pct: float) -> float:
    """Half a cosine: flat at both ends."""
    return end + (start - end) / 2 * (math.cos(math.pi * pct) + 1)


def annealing_poly(degree: float) -> Anneal:
    """end + (start - end) * (1 - pct) ** degree (fastai v1; v2's `SchedPoly` differs)."""

    def anneal(start: float, end: float, pct: float) -> float:
        return float(end + (start - end) * (1 - pct) ** degree)

    return anneal


_NAMED = {"no": annealing_no, "linear": annealing_linear, "exp": annealing_exp, "cos": annealing_cos}


def anneal_named(name: str) -> Anneal:
    """The function called `no`, `linear`, `exp`, `cos`, or `poly<degree>` as in `poly2`. Raises LearnerError."""
    if name in _NAMED:
        return _NAMED[name]
    degree = name.removeprefix("poly")
    if name.startswith("poly") and degree.replace(".", "", 1).isdigit():
        return annealing_poly(float(degree))
    raise LearnerError("anneal", f"{name!r} is unknown; known: {', '.join(_NAMED)}, and poly with a degree, as poly2")
