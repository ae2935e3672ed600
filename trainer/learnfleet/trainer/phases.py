"""Training phases: hyper-parameters as pure functions of the step, so a resumed run needs no schedule state.

The value in force while the first batch is trained is the start of the first phase; after `length` batches of a phase
its end is reached, and the batch that follows is trained with it (fastai v1).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from learnfleet.trainer.anneals import Anneal, annealing_linear, annealing_no
from learnfleet.trainer.callback import LearnerCallback
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.state import TrainState

Value = float | Sequence[float]  # one, or one a layer group


@dataclass(frozen=True)
class Segment:
    """One hyper-parameter over one phase."""

    start: tuple[float, ...]  # one value, or one a layer group
    end: tuple[float, ...]
    anneal: Anneal

    def at(self, pct: float) -> list[float]:
        return [self.anneal(start, end, pct) for start, end in zip(self.start, self.end, strict=True)]


class TrainingPhase:
    """Some batches of training, and what hyper-parameters do in them. It holds no state: use it as often as you like.

    Args:
        length: batches, at least 1 (a phase of 0 batches lasts 1, as in fastai).
    """

    def __init__(self, length: int) -> None:
        self.length = max(int(length), 1)
        self.hps: dict[str, Segment] = {}

    def schedule_hp(self, name: str, vals: Value | tuple[Value, Value], anneal: Anneal | None = None) -> Self:
        """Move `name` (lr, mom, wd, beta, eps, or any other option of the optimiser) through this phase.

        Args:
            vals: a tuple is (start, end), linear unless `anneal` says otherwise. Anything else is constant, or goes
                from there to 0 where there is an `anneal`. Each value may be a list of one a layer group.
        """
        if isinstance(vals, tuple) and len(vals) != 2:
            raise LearnerError(f"phases.{name}", f"{vals!r} is no (start, end); a list is one value a layer group")
        start, end = (vals[0], vals[1]) if isinstance(vals, tuple) else (vals, 0.0)
        anneal = anneal or (annealing_linear if isinstance(vals, tuple) else annealing_no)
        starts, ends = _values(start), _values(end)
        count = max(len(starts), len(ends))
        if {len(starts), len(ends)} - {1, count}:
            raise LearnerError(f"phases.{name}", f"{len(starts)} values at the start and {len(ends)} at the end")
        self.hps[name] = Segment(starts * (count // len(starts)), ends * (count // len(ends)), anneal)
        return self

    def at(self, pct: float) -> dict[str, list[float]]:
        """Every hyper-parameter of the phase when this share of it is done."""
        return {name: segment.at(pct) for name, segment in self.hps.items()}


def _values(value: Value | object) -> tuple[float, ...]:
    try:
        if np.ndim(value) == 0:  # type: ignore[arg-type]
            return (float(value),)  # type: ignore[arg-type]
        return tuple(float(item) for item in value)  # type: ignore[union-attr]
    except (TypeError, ValueError) as error:
        raise LearnerError("phases", f"{value!r} is neither a number nor one a layer group") from error


def values_at(phases: Sequence[TrainingPhase], step: int, *, restarts: bool = False) -> dict[str, list[float]] | None:
    """What is in force at `step` (batches done, from 0), or None when the last phase is over.

    Where two phases meet it is the end of the first, or with `restarts` the start of the second.
    """
    if step == 0:
        return phases[0].at(0.0)
    for phase in phases:
        is_end = step == phase.length and (phase is phases[-1] or not restarts)
        if step < phase.length or is_end:
            return phase.at(step / phase.length)
        step -= phase.length
    return None


class PhaseScheduler(LearnerCallback):
    """Base of the schedulers: makes its phases when a fit begins, and sets their values before each batch.

    When training goes on past the last phase, one more batch is trained, and then the fit stops.
    """

    order: ClassVar[int] = 10
    restarts: ClassVar[bool] = False  # see `values_at`
    start_epoch: int | None = None  # the fit begins with this epoch; those before it are done
    _phases: Sequence[TrainingPhase] = ()

    def make_phases(self, state: TrainState) -> Sequence[TrainingPhase]:
        """The phases of the fit that begins."""
        raise LearnerError("callbacks", f"{type(self).__name__} must say its phases")

    def on_train_begin(self, state: TrainState) -> None:
        if self.start_epoch is not None:
            state.epoch = self.start_epoch
        self._phases = self.make_phases(state)
        self._apply(state, state.iteration)

    def on_epoch_begin(self, state: TrainState) -> None:
        self._apply(state, state.iteration)  # another callback may have moved the fit to a later epoch

    def on_batch_end(self, state: TrainState) -> None:
        if state.train:
            self._apply(state, state.iteration + 1)

    def _apply(self, state: TrainState, step: int) -> None:
        values = values_at(self._phases, step, restarts=self.restarts)
        if values is None:
            state.stop_epoch = state.stop_training = True
            return
        optimizer = state.learner.require_optimizer()
        for name, value in values.items():
            optimizer.set_stat(name, value)
