"""Two models on the same items: what got fixed, what broke, and whether that can be chance.

Source: McNemar, "Note on the sampling error of the difference between correlated proportions", 1947; the exact test is
that of Edwards, 1948, by scipy.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Paired:
    """Counts of items, by who gets them right."""

    both_right: int
    fixed: int  # wrong by the baseline, right by the candidate
    broken: int  # right by the baseline, wrong by the candidate
    both_wrong: int
    p_value: float | None  # of so great a difference if both are equally good; None: they differ nowhere


def paired(baseline: Tensor, candidate: Tensor) -> Paired:
    """From bool [N] of each: whether it gets the item right."""
    fixed, broken = int((~baseline & candidate).sum()), int((baseline & ~candidate).sum())
    return Paired(
        int((baseline & candidate).sum()),
        fixed,
        broken,
        int((~baseline & ~candidate).sum()),
        mcnemar(fixed, broken),
    )


def mcnemar(fixed: int, broken: int) -> float | None:
    """Two-sided p-value, exact for counts of any size. None where nothing differs."""
    from scipy.stats import binomtest

    return float(binomtest(fixed, fixed + broken, 0.5).pvalue) if fixed + broken else None
