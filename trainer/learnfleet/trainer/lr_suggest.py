"""Rules that read a learning rate off a search: functions of (rates, smoothed losses, batches asked for).

`valley`, `slide`, `steep` and `minimum` are fastai v2's, `min_gradient` is fastai v1's.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

import numpy as np

from learnfleet.trainer.errors import LearnerError

_SKIP_END = 5  # where the loss explodes
_log = logging.getLogger(__name__)

Rule: TypeAlias = Callable[[Sequence[float], Sequence[float], int], float]


def valley(lrs: Sequence[float], losses: Sequence[float], num_it: int) -> float:
    """About half way down the longest falling stretch, which need not be of neighbours."""
    _need(losses, 1)
    lengths = [1] * len(losses)  # of the longest falling subsequence that ends here
    end = 0
    for i, loss in enumerate(losses):
        lengths[i] = 1 + max((lengths[j] for j in range(i) if losses[j] > loss), default=0)
        end = i if lengths[i] > lengths[end] else end
    start = end - lengths[end] if lengths[end] > 1 else 0
    third = (end - start) / 3
    return float(lrs[max(start + int(third) + int(third / 2), 0)])


def slide(
    lrs: Sequence[float],
    losses: Sequence[float],
    num_it: int,
    lr_diff: int = 15,
    thresh: float = 0.005,
    adjust_value: float = 1.0,
) -> float:
    """Where, coming from the right, the slope last differed by more than `thresh` from that `lr_diff` points later."""
    _need(losses, max(lr_diff + 1, 2))
    slopes = np.gradient(np.asarray(losses, dtype=np.float64))
    right = len(losses) - 1
    chosen = right - lr_diff
    while right - lr_diff >= 0 and abs(slopes[right] - slopes[right - lr_diff]) > thresh:
        chosen = right - lr_diff
        right -= 1
    return float(lrs[chosen]) * adjust_value


def steep(lrs: Sequence[float], losses: Sequence[float], num_it: int) -> float:
    """Where the loss falls fastest by the logarithm of the rate."""
    _need(losses, 2)
    slopes = np.diff(np.asarray(losses, dtype=np.float64)) / np.diff(np.log(np.asarray(lrs, dtype=np.float64)))
    return float(lrs[int(slopes.argmin())])


def minimum(lrs: Sequence[float], losses: Sequence[float], num_it: int) -> float:
    """A tenth of the rate with the least loss."""
    _need(losses, 1)
    return float(lrs[int(np.argmin(losses))]) / 10


def min_gradient(lrs: Sequence[float], losses: Sequence[float], num_it: int) -> float:
    """Where the loss falls fastest by batches."""
    _need(losses, 2)
    return float(lrs[int(np.gradient(np.asarray(losses, dtype=np.float64)).argmin())])


def _need(losses: Sequence[float], count: int) -> None:
    if len(losses) < count:
        raise LearnerError("lr_find", f"there are {len(losses)} points, not enough: at least {count} are needed")


RULES: dict[str, Rule] = {
    "valley": valley,
    "slide": slide,
    "steep": steep,
    "minimum": minimum,
    "min_gradient": min_gradient,
}


@dataclass(frozen=True)
class SuggestedLRs:
    """What each rule suggests, in the order asked for; None where there were too few points for it."""

    values: dict[str, float | None]

    @property
    def valley(self) -> float | None:
        return self.values.get("valley")

    @property
    def slide(self) -> float | None:
        return self.values.get("slide")

    @property
    def steep(self) -> float | None:
        return self.values.get("steep")

    @property
    def minimum(self) -> float | None:
        return self.values.get("minimum")

    @property
    def min_gradient(self) -> float | None:
        return self.values.get("min_gradient")

    def __getitem__(self, name: str) -> float | None:
        return self.values[name]

    def __iter__(self) -> Iterator[float | None]:
        """For `lr_min, lr_steep = learn.lr_find(suggest_funcs=(minimum, steep))`."""
        return iter(self.values.values())


def named_rules(rules: Rule | str | Sequence[Rule | str]) -> dict[str, Rule]:
    """Rules by their names, as a user gives them: one or several; names or functions. Raises LearnerError."""
    given = [rules] if callable(rules) or isinstance(rules, str) else rules
    return dict(_named(rule) for rule in given)


def _named(rule: Rule | str) -> tuple[str, Rule]:
    if isinstance(rule, str):
        if rule not in RULES:
            raise LearnerError("suggest_funcs", f"there is no rule {rule!r}; known: {', '.join(RULES)}")
        return rule, RULES[rule]
    inner = rule.func if isinstance(rule, partial) else rule
    return str(getattr(inner, "__name__", type(inner).__name__)), rule


def suggest(
    lrs: Sequence[float], losses: Sequence[float], num_it: int, rules: Rule | str | Sequence[Rule | str]
) -> SuggestedLRs:
    """Apply the rules to a search without its first tenth and last 5 points, up to a loss that is no number."""
    lrs, losses = lrs[num_it // 10 : -_SKIP_END], losses[num_it // 10 : -_SKIP_END]
    count = next((index for index, loss in enumerate(losses) if not math.isfinite(loss)), len(losses))
    return apply_rules(lrs[:count], losses[:count], num_it, rules)


def apply_rules(
    lrs: Sequence[float], losses: Sequence[float], num_it: int, rules: Rule | str | Sequence[Rule | str]
) -> SuggestedLRs:
    """Apply the rules to these points."""
    found: dict[str, float | None] = {}
    for name, rule in named_rules(rules).items():
        try:
            found[name] = rule(lrs, losses, num_it)
        except LearnerError as error:
            _log.info("no suggestion by %s: %s", name, error.message)
            found[name] = None
    return SuggestedLRs(found)
