"""Callbacks that shape the gradients of a step: clipping, and steps over several batches."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import nn

from learnfleet.trainer.callback import LearnerCallback
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.state import TrainState

if TYPE_CHECKING:
    from learnfleet.trainer.learner import Learner


class GradientClipping(LearnerCallback):
    """Scales all gradients together down to a norm of `clip`; 0 leaves them. `learn.clip_grad(clip)` adds it.

    They are those of the step: whole after accumulation, and unscaled in float16 (fastai v1 clipped the scaled ones).
    """

    in_lr_find: ClassVar[bool] = True

    def __init__(self, learn: Learner, clip: float = 0.0) -> None:
        super().__init__(learn)
        if clip < 0:
            raise LearnerError("clip", f"{clip} is not possible: a norm is not negative")
        self.clip = clip

    def on_backward_end(self, state: TrainState) -> None:
        if self.clip and not state.accumulating and not state.overflow:
            nn.utils.clip_grad_norm_(state.learner.model.parameters(), self.clip)


class AccumulateScheduler(LearnerCallback):
    """One optimiser step from the gradients of `n_step` batches: that of their mean loss over all items.

    Mean losses are weighted by their batches' items, and sums (`reduction="sum"`) divided by them, so the step is that
    of one large batch. Windows begin anew with each epoch; what is left at its end makes a step of its own. Ranks
    exchange gradients once a step. (fastai v1 wanted sums, and divided by zero where the batches came out even.)

    Schedules, `global_step` and the recorder go on counting batches. A run stops, and is saved, between two steps only.

    Args:
        drop_last: leave out what is left at the end of an epoch.
    """

    order: ClassVar[int] = 1000  # after all that may skip the backward pass
    in_lr_find: ClassVar[bool] = True

    def __init__(self, learn: Learner, n_step: int = 1, drop_last: bool = False) -> None:
        super().__init__(learn)
        if int(n_step) != n_step or n_step < 1:
            raise LearnerError("n_step", f"{n_step} is not possible: a step needs a whole number, at least 1 batch")
        self.n_step, self.drop_last = n_step, drop_last
        self._items = 0  # of this rank, in this window

    def on_train_begin(self, state: TrainState) -> None:
        self._items = 0

    def on_epoch_begin(self, state: TrainState) -> None:
        self._items = 0
        state.learner.require_optimizer().zero_grad()

    def on_batch_begin(self, state: TrainState) -> None:
        if state.train:
            is_full = (state.batch + 1) % self.n_step == 0
            state.accumulating = not (is_full or (state.is_last_batch and not self.drop_last))
            state.weighs_items = True

    def on_backward_begin(self, state: TrainState) -> None:
        batch, loss = state.last_batch, state.loss
        assert batch is not None
        assert loss is not None
        if not state.skip_bwd:
            self._items += batch.n
            if getattr(state.learner.loss_func, "reduction", "mean") == "sum":
                state.loss = loss / batch.n
        if not state.accumulating:
            items = state.learner.world.sum(torch.tensor([float(self._items)]))
            state.window = float(items) / state.learner.data.train_dl.batch_size
            self._items = 0


class GradientAccumulation(AccumulateScheduler):
    """One optimiser step from at least `n_acc` items (fastai v2)."""

    def __init__(self, learn: Learner, n_acc: int = 32) -> None:
        if n_acc < 1:
            raise LearnerError("n_acc", f"{n_acc} is not possible: a step needs at least 1 item")
        super().__init__(learn, math.ceil(n_acc / learn.data.train_dl.batch_size))


class BnFreeze(LearnerCallback):
    """BatchNorm layers whose weights are frozen keep their statistics.

    A learner with train_bn=False does this by itself for its frozen layer groups; this is for layers frozen by hand.
    Layers without weights of their own are left alone (fastai v1 broke on them).
    """

    in_lr_find: ClassVar[bool] = True

    def on_train_begin(self, state: TrainState) -> None:
        state.learner.holds_frozen_bn = True

    def on_train_end(self, state: TrainState) -> None:
        state.learner.holds_frozen_bn = False
