"""The rules that suggest a learning rate, by their names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias


class Rule(str):
    """The name of a rule, which the workers apply."""


valley, slide, steep = Rule("valley"), Rule("slide"), Rule("steep")
minimum, min_gradient = Rule("minimum"), Rule("min_gradient")

Rules: TypeAlias = "str | Sequence[str]"
ALL_RULES = (valley, slide, steep, minimum, min_gradient)


def names_of(rules: Rules | None) -> tuple[str, ...]:
    """None, one or several, as a tuple. Raises ValueError for a rule that is not known, or is a function."""
    given = ALL_RULES if rules is None else (rules,) if isinstance(rules, str) else tuple(rules)
    for rule in given:
        if rule not in ALL_RULES:
            raise ValueError(f"suggest_funcs has {rule!r}; must be among {', '.join(ALL_RULES)}")
    return tuple(str(rule) for rule in given)


def of_shown(lrs: Sequence[float], losses: Sequence[float]) -> dict[str, float]:
    """What `minimum` and `min_gradient` say of these points alone, as in the trainer's plot; {} of less than two."""
    if len(losses) < 2:
        return {}
    ends = range(len(losses))
    slopes = [losses[min(i + 1, ends[-1])] - losses[max(i - 1, 0)] for i in ends]
    slopes[0], slopes[-1] = 2 * slopes[0], 2 * slopes[-1]  # of neighbours, and not of places two apart
    lowest, steepest = losses.index(min(losses)), slopes.index(min(slopes))
    return {"minimum": lrs[lowest] / 10, "min_gradient": lrs[steepest]}
