"""Training phases for `GeneralScheduler`, as values (fastai v1's names)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self, TypeAlias

Value: TypeAlias = "float | Sequence[float]"


@dataclass(frozen=True)
class Anneal:
    """How a hyper-parameter goes from its first value to its last."""

    name: str


annealing_no = Anneal("no")
annealing_linear = Anneal("linear")
annealing_exp = Anneal("exp")
annealing_cos = Anneal("cos")


def annealing_poly(degree: int) -> Anneal:
    """By a polynomial of this degree."""
    return Anneal(f"poly{degree}")


class TrainingPhase:
    """Some batches of training, and what hyper-parameters do in them."""

    def __init__(self, length: int) -> None:
        """Args:
        length: batches, at least 1.
        """
        self.length = max(int(length), 1)
        self._hps: dict[str, dict[str, Any]] = {}

    def schedule_hp(self, name: str, vals: Value | tuple[Value, Value], anneal: Anneal | None = None) -> Self:
        """Move `name` (lr, mom, wd, ...) through this phase. Raises TypeError for an `anneal` of one's own.

        Args:
            vals: a tuple is (start, end), linear unless `anneal` says otherwise. Anything else is constant, or goes
                from there to 0 where there is an `anneal`. Each value may be a list of one a layer group.
        """
        if anneal is not None and not isinstance(anneal, Anneal):
            raise TypeError(f"anneal is {anneal!r}; over the service it must be annealing_cos or another of these")
        is_range = isinstance(vals, tuple)
        how = anneal or (annealing_linear if is_range else annealing_no)
        pair: Any = list(vals) if isinstance(vals, tuple) else [vals, 0.0]
        if not is_range and anneal is None:
            pair = vals if isinstance(vals, int | float) else [vals, vals]
        self._hps[name] = {"vals": pair, "anneal": how.name}
        return self

    def to_json(self) -> dict[str, Any]:
        """As the workers' `general_scheduler` takes it."""
        return {"length": self.length, "hps": self._hps}
