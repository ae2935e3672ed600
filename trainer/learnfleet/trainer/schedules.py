"""Learning-rate schedules as pure functions of (step, total): a resumed run needs no schedule state.

Source: Smith, "A disciplined approach to neural network hyper-parameters", 2018, arXiv:1803.09820, in fastai's form.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from learnfleet.trainer.callback import Callback
from learnfleet.trainer.state import TrainState

Anneal = Callable[[float, float, float], float]  # (start, end, share done in [0, 1]) -> value


def anneal_none(start: float, end: float, share: float) -> float:
    """Stays at `start`."""
    return start


def anneal_linear(start: float, end: float, share: float) -> float:
    """A straight line."""
    return start + share * (end - start)


def anneal_exponential(start: float, end: float, share: float) -> float:
    """A straight line in the logarithm. `start` and `end` must have the same sign."""
    return float(start * (end / start) ** share)


def anneal_cosine(start: float, end: float, share: float) -> float:
    """Half a cosine: flat at both ends."""
    return end + (start - end) / 2 * (math.cos(math.pi * share) + 1)


@dataclass(frozen=True)
class OneCycle:
    """Shape of a one-cycle run (fastai v1 defaults)."""

    moms: tuple[float, float] = (0.95, 0.85)
    div_factor: float = 25.0
    pct_start: float = 0.3
    final_div: float | None = None  # None: div_factor * 1e4

    def lr(self, step: int, total_steps: int, lr_max: float) -> float:
        """Learning rate in force at `step`.

        Rises by half a cosine from lr_max / div_factor to lr_max over the first int(total_steps * pct_start) steps,
        then falls by half a cosine to lr_max / final_div, which it reaches at step == total_steps.

        Args:
            step: 0-based optimiser step within the cycle, in [0, total_steps].
        """
        final_div = self.div_factor * 1e4 if self.final_div is None else self.final_div
        return self._phase(step, total_steps, (lr_max / self.div_factor, lr_max, lr_max / final_div))

    def mom(self, step: int, total_steps: int) -> float:
        """Momentum in force at `step`: falls while the learning rate rises, then rises again."""
        return self._phase(step, total_steps, (self.moms[0], self.moms[1], self.moms[0]))

    def _phase(self, step: int, total_steps: int, values: tuple[float, float, float]) -> float:
        if not 0 <= step <= total_steps:
            raise ValueError(f"step {step} is outside the cycle of {total_steps} steps")
        first = int(total_steps * self.pct_start)
        start, peak, end = values
        if step < max(first, 1):
            return anneal_cosine(start, peak, step / max(first, 1))
        return anneal_cosine(peak, end, (step - first) / max(total_steps - first, 1))


class OneCycleScheduler(Callback):
    """Sets learning rates and momentum before each step of one cycle over the whole fit.

    Args:
        lr_max: peak, one value or one a layer group.
        tot_epochs: length of the cycle when this fit is only a part of it. Default: the fit's epochs.
        start_epoch: epochs of the cycle that are behind us. Default: 0.
    """

    order = 10  # before the recorder writes down what is in force

    def __init__(
        self,
        lr_max: float | Sequence[float],
        moms: tuple[float, float] = (0.95, 0.85),
        div_factor: float = 25.0,
        pct_start: float = 0.3,
        final_div: float | None = None,
        tot_epochs: int | None = None,
        start_epoch: int = 0,
    ) -> None:
        self.lr_max = [float(lr_max)] if isinstance(lr_max, int | float) else [float(lr) for lr in lr_max]
        self.cycle = OneCycle(moms, div_factor, pct_start, final_div)
        self.tot_epochs, self.start_epoch = tot_epochs, start_epoch

    def on_train_begin(self, state: TrainState) -> None:
        self._apply(state, state.iteration)

    def on_batch_end(self, state: TrainState) -> None:
        if state.train:
            self._apply(state, state.iteration + 1)

    def _apply(self, state: TrainState, iteration: int) -> None:
        total = (self.tot_epochs or self.start_epoch + state.n_epochs) * state.n_batches
        step = iteration + self.start_epoch * state.n_batches
        if step > total:
            state.stop_epoch = state.stop_training = True  # the cycle is over
            return
        optimizer = state.learner.require_optimizer()
        optimizer.set_lr([self.cycle.lr(step, total, lr) for lr in self.lr_max])
        optimizer.set_mom(self.cycle.mom(step, total))
