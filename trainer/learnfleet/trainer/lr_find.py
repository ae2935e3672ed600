"""The learning-rate search: a mock training with a rising rate, after which the learner is as it was.

Source: Smith, "Cyclical learning rates for training neural networks", 2017, arXiv:1506.01186, in fastai's form.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from learnfleet.trainer.callback import LearnerCallback
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.fitting import Fit, run_fit
from learnfleet.trainer.lr_suggest import RULES, Rule, SuggestedLRs, suggest
from learnfleet.trainer.optimizer import Lr, PerGroup, lr_range
from learnfleet.trainer.rewind import Rewind
from learnfleet.trainer.state import TrainState

if TYPE_CHECKING:
    from learnfleet.trainer.learner import Learner

_DIVERGED = 4  # times the least smoothed loss
ALL_RULES: tuple[str, ...] = tuple(RULES)


class LRFinder(LearnerCallback):
    """Batch i is trained with start_lr * (end_lr / start_lr) ** (i / num_it); the fit stops after `num_it` batches.

    Weights, buffers, optimiser, counters and random generators are put back when the fit ends. Nothing is written, so
    searches in one folder do not disturb each other (fastai v1's did).

    Args:
        start_lr, end_lr: a number, a slice or a list: each layer group may have a range of its own.
        stop_div: stop when the smoothed loss is more than 4 times its least, or no number. The loss is that of the
            global batch, so all ranks stop at the same one.
    """

    def __init__(
        self, learn: Learner, start_lr: Lr = 1e-7, end_lr: Lr = 10.0, num_it: int = 100, stop_div: bool = True
    ) -> None:
        super().__init__(learn)
        if int(num_it) != num_it or num_it < 1:
            raise LearnerError("num_it", f"{num_it!r} is not possible: a whole number of batches, at least 1 batch")
        groups = len(learn.layer_groups)
        self.start, self.end = lr_range(start_lr, groups), lr_range(end_lr, groups)
        if min(*self.start, *self.end) <= 0:
            raise LearnerError("lr_find", f"rates must be above 0, not {self.start} to {self.end}")
        self.num_it, self.stop_div = num_it, stop_div
        self.best_loss = math.inf
        self._rewind: Rewind | None = None

    def on_train_begin(self, state: TrainState) -> None:
        self._rewind, self.best_loss = Rewind(state.learner), math.inf
        state.skip_validate = True
        self._apply(state, 0)

    def _apply(self, state: TrainState, step: int) -> None:
        rates = [start * (end / start) ** (step / self.num_it) for start, end in zip(self.start, self.end, strict=True)]
        state.learner.require_optimizer().set_lr(rates)

    def on_batch_end(self, state: TrainState) -> None:
        if not state.train:
            return
        loss, done = state.smooth_loss, state.iteration + 1
        if done == 1 or loss < self.best_loss:
            self.best_loss = loss
        has_diverged = not math.isfinite(loss) or loss > _DIVERGED * self.best_loss
        if done >= self.num_it or (self.stop_div and has_diverged):
            state.stop_epoch = state.stop_training = True
        self._apply(state, done)

    def on_train_end(self, state: TrainState) -> None:
        if self._rewind is not None:
            self._rewind.restore(state.learner)
            self._rewind = None
        reset = getattr(state.learner.model, "reset", None)
        if callable(reset):
            reset()


@dataclass(frozen=True)
class LrSearch:
    """Arguments of a search. See `LRFinder`."""

    start_lr: Lr = 1e-7
    end_lr: Lr = 10.0
    num_it: int = 100
    stop_div: bool = True
    wd: PerGroup | None = None
    suggest_funcs: Rule | str | Sequence[Rule | str] = field(default=ALL_RULES)
    stop_requested: Callable[[], bool] | None = None


def run_search(learner: Learner, search: LrSearch) -> tuple[SuggestedLRs, TrainState]:
    """Search. Every rank must call. What was tried is in `learner.recorder`; the state tells of an early stop."""
    before = learner.opt.hyper_parameters() if learner.opt else None
    finder = LRFinder(learner, search.start_lr, search.end_lr, search.num_it, search.stop_div)
    epochs = math.ceil(search.num_it / max(len(learner.data.train_dl), 1))
    fit = Fit(epochs, search.start_lr, search.wd, [finder], is_search=True, stop_requested=search.stop_requested)
    try:
        state = run_fit(learner, fit)
    finally:
        if before is None:
            learner.opt = None  # there was none
        else:
            learner.require_optimizer().load_hyper_parameters(before)
    recorder = learner.recorder
    return suggest(recorder.lrs, recorder.losses, search.num_it, search.suggest_funcs), state
