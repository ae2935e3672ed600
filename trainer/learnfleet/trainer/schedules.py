"""Schedulers of learning rate and momentum, by fastai's names. What they do is written down as phases.

Source of the one-cycle policy: Smith, "A disciplined approach to neural network hyper-parameters", 2018,
arXiv:1803.09820, in fastai's form. Of the restarts: Loshchilov, Hutter, "SGDR", ICLR 2017, arXiv:1608.03983.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from learnfleet.trainer.anneals import anneal_named, annealing_cos, annealing_exp, annealing_linear
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.optimizer import DEFAULT_LR, Lr, lr_range
from learnfleet.trainer.phases import PhaseScheduler, TrainingPhase
from learnfleet.trainer.state import TrainState

if TYPE_CHECKING:
    from learnfleet.trainer.learner import Learner

_CURVES = {"cosine": annealing_cos, "linear": annealing_linear, "exponential": annealing_exp}
_EXPONENTIAL_END = 1e-4  # of the rate: an exponential never gets to 0


def one_cycle_phases(
    n: int,
    lr_max: Sequence[float],
    moms: Sequence[float] = (0.95, 0.85),
    div_factor: float = 25.0,
    pct_start: float = 0.3,
    final_div: float | None = None,
) -> list[TrainingPhase]:
    """The cycle over `n` batches.

    The rate rises by half a cosine from lr_max / div_factor to lr_max over the first int(n * pct_start) batches, then
    falls by half a cosine to lr_max / final_div (default: div_factor * 1e4). Momentum goes the other way.

    Args:
        moms: at the start, at the peak, and at the end if that differs from the start.
    """
    final_div = div_factor * 1e4 if final_div is None else final_div
    low, end = [lr / div_factor for lr in lr_max], [lr / final_div for lr in lr_max]
    first = int(n * pct_start)
    rise = TrainingPhase(first).schedule_hp("lr", (low, lr_max), annealing_cos)
    fall = TrainingPhase(n - first).schedule_hp("lr", (lr_max, end), annealing_cos)
    return [
        rise.schedule_hp("mom", (moms[0], moms[1]), annealing_cos),
        fall.schedule_hp("mom", (moms[1], moms[-1] if len(moms) > 2 else moms[0]), annealing_cos),
    ]


def _check_moms(moms: Sequence[float], *counts: int) -> None:
    if np.size(moms) not in counts:
        raise LearnerError("moms", f"{moms!r}: give 2 values, at the start and at the peak")
    if not all(0 <= mom < 1 for mom in moms):
        raise LearnerError("moms", f"{moms!r}: a momentum is from 0 to below 1")


class OneCycleScheduler(PhaseScheduler):
    """One cycle of learning rate and momentum. It takes the place of the fit's own `lr`.

    Args:
        lr_max: the peak in any form that `fit` takes (fastai v1's callback understood no slice).
        final_div: peak over last rate. Default: div_factor * 1e4.
        tot_epochs: length of the cycle when the fit is only a part of it. Default: the fit's epochs.
        start_epoch: the fit begins with this epoch of the cycle, and ends where it would have ended.
    """

    def __init__(
        self,
        learn: Learner,
        lr_max: Lr,
        moms: Sequence[float] = (0.95, 0.85),
        div_factor: float = 25.0,
        pct_start: float = 0.3,
        final_div: float | None = None,
        tot_epochs: int | None = None,
        start_epoch: int | None = None,
    ) -> None:
        super().__init__(learn)
        _check_moms(moms, 2, 3)
        if (tot_epochs is not None and tot_epochs < 1) or (start_epoch is not None and start_epoch < 0):
            raise LearnerError("one_cycle", "tot_epochs must be at least 1, and start_epoch at least 0")
        if not 0 <= pct_start <= 1 or div_factor <= 0 or (final_div is not None and final_div <= 0):
            raise LearnerError("one_cycle", "pct_start must be from 0 to 1, div_factor and final_div above 0")
        self.lr_max, self.moms, self.div_factor, self.pct_start = lr_max, tuple(moms), div_factor, pct_start
        self.final_div, self.tot_epochs, self.start_epoch = final_div, tot_epochs, start_epoch

    def make_phases(self, state: TrainState) -> Sequence[TrainingPhase]:
        n = (self.tot_epochs or state.n_epochs) * state.n_batches
        lrs = lr_range(self.lr_max, len(state.learner.layer_groups))
        return one_cycle_phases(n, lrs, self.moms, self.div_factor, self.pct_start, self.final_div)


class GeneralScheduler(PhaseScheduler):
    """Phases one after the other. They may be used again in another fit (fastai v1's went wrong then)."""

    def __init__(self, learn: Learner, phases: Sequence[TrainingPhase], start_epoch: int | None = None) -> None:
        super().__init__(learn)
        if not isinstance(phases, Sequence) or not all(isinstance(phase, TrainingPhase) for phase in phases):
            raise LearnerError("phases", f"{phases!r} is no list of TrainingPhase")
        if not phases:
            raise LearnerError("phases", "there is none: give at least one TrainingPhase")
        self.phases, self.start_epoch = list(phases), start_epoch

    def make_phases(self, state: TrainState) -> Sequence[TrainingPhase]:
        return self.phases


def general_scheduler(
    learn: Learner, phases: Sequence[Mapping[str, Any]], start_epoch: int | None = None
) -> GeneralScheduler:
    """A GeneralScheduler from plain data: [{"length": 40, "hps": {"lr": {"vals": [1e-3, 1e-2], "anneal": "cos"}}}].

    `vals` is [start, end] or one value; start and end may be lists of one value a layer group. `anneal` is no, linear,
    exp, cos or poly<degree>. Raises LearnerError for anything else.
    """
    return GeneralScheduler(learn, [_phase(f"phases[{i}]", item) for i, item in enumerate(phases)], start_epoch)


def _phase(field: str, item: Mapping[str, Any]) -> TrainingPhase:
    length, hps = item.get("length"), item.get("hps")
    if set(item) != {"length", "hps"} or not isinstance(length, int | float) or not isinstance(hps, Mapping):
        raise LearnerError(field, 'it must have "length" (batches) and "hps" (by name), and nothing else')
    phase = TrainingPhase(int(length))
    for name, how in hps.items():
        if not isinstance(how, Mapping) or "vals" not in how or set(how) - {"vals", "anneal"}:
            raise LearnerError(f"{field}.hps.{name}", 'it must have "vals", and may have "anneal"')
        vals, anneal = how["vals"], _anneal(how.get("anneal"))
        try:
            phase.schedule_hp(name, tuple(vals) if isinstance(vals, list) else vals, anneal)
        except (TypeError, ValueError, IndexError) as error:
            raise LearnerError(f"{field}.hps.{name}", f"{vals!r} is neither a number nor [start, end]") from error
    return phase


def _anneal(name: str | None) -> Any:
    return None if name is None else anneal_named(name)


def flat_cos_phases(
    n: int, lr: Sequence[float], moms: Sequence[float], start_pct: float, curve: str
) -> list[TrainingPhase]:
    """int(n * start_pct) batches at `lr` and moms[0], the others annealed to 0 at moms[1].

    An exponential ends at lr / 1e4 (fastai v1's was 0 from its first step on).
    """
    if curve not in _CURVES:
        raise LearnerError("curve", f"{curve!r} is unknown; known: {', '.join(_CURVES)}")
    flat = int(n * start_pct)
    end = [rate * _EXPONENTIAL_END if curve == "exponential" else 0.0 for rate in lr]
    return [
        TrainingPhase(flat).schedule_hp("lr", list(lr)).schedule_hp("mom", moms[0]),
        TrainingPhase(n - flat).schedule_hp("lr", (list(lr), end), _CURVES[curve]).schedule_hp("mom", moms[1]),
    ]


class FlatCosAnnealScheduler(PhaseScheduler):
    """A constant learning rate for the share `start_pct`, then down along `curve`: cosine, linear or exponential."""

    def __init__(
        self,
        learn: Learner,
        lr: Lr = 4e-3,
        tot_epochs: int = 1,
        moms: Sequence[float] = (0.95, 0.999),
        start_pct: float = 0.72,
        curve: str = "cosine",
    ) -> None:
        super().__init__(learn)
        self.lr, self.tot_epochs, self.moms, self.start_pct, self.curve = lr, tot_epochs, moms, start_pct, curve
        _check_moms(moms, 2)
        if not 0 <= start_pct <= 1 or tot_epochs < 1:
            raise LearnerError("fit_fc", "start_pct must be from 0 to 1, and tot_epochs at least 1")
        flat_cos_phases(1, [1.0], moms, start_pct, curve)  # what is wrong is told here, not in the fit

    def make_phases(self, state: TrainState) -> Sequence[TrainingPhase]:
        lrs = lr_range(self.lr, len(state.learner.layer_groups))
        return flat_cos_phases(state.n_batches * self.tot_epochs, lrs, self.moms, self.start_pct, self.curve)


class SgdrScheduler(PhaseScheduler):
    """Cosines from `lr_max` to 0, each `cycle_mult` times as long as the one before (fastai v2 `fit_sgdr`)."""

    restarts: ClassVar[bool] = True

    def __init__(
        self,
        learn: Learner,
        n_cycles: int,
        cycle_len: int,
        lr_max: Lr = DEFAULT_LR,
        cycle_mult: int = 2,
    ) -> None:
        super().__init__(learn)
        if min(n_cycles, cycle_len, cycle_mult) < 1:
            raise LearnerError("fit_sgdr", "n_cycles, cycle_len and cycle_mult must each be at least 1")
        self.n_cycles, self.cycle_len, self.lr_max, self.cycle_mult = n_cycles, cycle_len, lr_max, cycle_mult

    @property
    def epochs(self) -> int:
        """Of all cycles."""
        return sum(self.cycle_len * self.cycle_mult**index for index in range(self.n_cycles))

    def make_phases(self, state: TrainState) -> Sequence[TrainingPhase]:
        lrs = lr_range(self.lr_max, len(state.learner.layer_groups))
        lengths = [state.n_batches * self.cycle_len * self.cycle_mult**index for index in range(self.n_cycles)]
        return [TrainingPhase(length).schedule_hp("lr", list(lrs), annealing_cos) for length in lengths]
