"""Regularisation of recurrent models (fastai v1 `RNNTrainer`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor

from learnfleet.trainer.callback import LearnerCallback
from learnfleet.trainer.carried_state import carried_state, load_carried_state
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.state import TrainState

if TYPE_CHECKING:
    from learnfleet.trainer.learner import Learner


class RNNTrainer(LearnerCallback):
    """Adds to the loss of a model that gives (output, raw outputs, dropped outputs), and resets its state.

    AR, activation regularisation: alpha * mean(dropped[-1]^2); TAR, temporal: beta * mean of the squared differences of
    raw[-1] from one step to the next. fastai v1 looks at the batch size, not at the length, before it takes
    differences; here sequences of one step have none.

    The model's `reset()` is called before each epoch and before its validation. The state that it carries from window
    to window, each rank's own, is part of a job's checkpoints: see `carried_state` for what it may look like.

    Source: Merity, McCann, Socher, "Revisiting activation regularization for language RNNs", 2017, arXiv:1708.01009.
    """

    in_lr_find: ClassVar[bool] = True

    def __init__(self, learn: Learner, alpha: float = 0.0, beta: float = 0.0) -> None:
        super().__init__(learn)
        self.alpha, self.beta = alpha, beta
        self._raw: list[Tensor] = []
        self._dropped: list[Tensor] = []
        self._validating = False

    def on_epoch_begin(self, state: TrainState) -> None:
        self._reset(state)
        self._validating = False

    def on_batch_begin(self, state: TrainState) -> None:
        if not state.train and not self._validating:
            self._reset(state)
        self._validating = not state.train

    @staticmethod
    def _reset(state: TrainState) -> None:
        reset: Any = getattr(state.learner.model, "reset", None)
        if reset is None:
            name = type(state.learner.model).__name__
            raise LearnerError("callbacks", f"RNNTrainer needs a model with a method `reset`, which {name} lacks")
        reset()

    def on_loss_begin(self, state: TrainState) -> None:
        if not isinstance(state.last_output, tuple) or len(state.last_output) != 3:
            raise LearnerError(
                "callbacks", "RNNTrainer needs a model that gives (output, raw outputs, dropped outputs)"
            )
        state.last_output, self._raw, self._dropped = state.last_output

    def on_backward_begin(self, state: TrainState) -> None:
        assert state.loss is not None
        if self.alpha:
            state.loss = state.loss + self.alpha * self._dropped[-1].float().pow(2).mean()
        steps = self._raw[-1]
        if self.beta and steps.shape[1] > 1:
            state.loss = state.loss + self.beta * torch.diff(steps.float(), dim=1).pow(2).mean()

    def rank_tensors(self) -> dict[str, Tensor]:
        # After validation there is only what the next epoch begins by forgetting.
        return {} if self._validating else carried_state(self.learn.model)

    def load_rank_tensors(self, tensors: dict[str, Tensor]) -> None:
        load_carried_state(self.learn.model, tensors)
