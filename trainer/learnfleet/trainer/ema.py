"""An exponential moving average of the weights, which validation and the end of the fit use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor

from learnfleet.trainer.callback import LearnerCallback
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.state import TrainState

if TYPE_CHECKING:
    from learnfleet.trainer.learner import Learner


class EMACallback(LearnerCallback):
    """Averages the weights after every step: average = decay * average + (1 - decay) * weights.

    Validation runs on the averages, and so does everything after the fit; with SaveModelCallback the fit ends with the
    best of the averages. Buffers (BatchNorm statistics) are the
    model's own.
    Source: Polyak & Juditsky 1992; timm `ModelEma`.

    Args:
        decay: in [0, 1).
        warm_up: begin with a smaller decay, min(decay, (1 + step) / (10 + step)), so that short fits move too.
    """

    order: ClassVar[int] = 50

    def __init__(self, learn: Learner, decay: float = 0.999, warm_up: bool = True) -> None:
        super().__init__(learn)
        if not 0 <= decay < 1:
            raise LearnerError("decay", f"{decay} is not in [0, 1)")
        self.decay, self.warm_up = decay, warm_up
        self._average: dict[str, Tensor] = {}
        self._weights: dict[str, Tensor] | None = None  # while the averages are in the model
        self._steps = 0

    def on_train_begin(self, state: TrainState) -> None:
        self._average = {name: value.detach().clone() for name, value in state.learner.model.named_parameters()}
        self._weights, self._steps = None, 0

    @torch.no_grad()
    def on_step_end(self, state: TrainState) -> None:
        decay = min(self.decay, (1 + self._steps) / (10 + self._steps)) if self.warm_up else self.decay
        live = dict(state.learner.model.named_parameters())
        torch._foreach_lerp_(list(self._average.values()), [live[name].detach() for name in self._average], 1 - decay)
        self._steps += 1

    def on_batch_begin(self, state: TrainState) -> None:
        if not state.train:
            self._swap_in(state)

    def on_epoch_end(self, state: TrainState) -> None:
        self._swap_out(state)

    def on_train_end(self, state: TrainState) -> None:
        self._swap_out(state)
        if state.exception is None and not state.interrupted and not state.weights_chosen:
            _put(state, self._average)

    def _swap_in(self, state: TrainState) -> None:
        if self._weights is None:
            self._weights = {name: value.detach().clone() for name, value in state.learner.model.named_parameters()}
            _put(state, self._average)

    def _swap_out(self, state: TrainState) -> None:
        if self._weights is not None:
            _put(state, self._weights)
            self._weights = None

    def state_dict(self) -> dict[str, Any]:
        return {"steps": self._steps}

    def load_state_dict(self, values: dict[str, Any]) -> None:
        self._steps = int(values["steps"])

    def tensors(self) -> dict[str, Tensor]:
        return dict(self._average)

    def load_tensors(self, tensors: dict[str, Tensor]) -> None:
        for name, value in tensors.items():
            self._average[name].copy_(value)


@torch.no_grad()
def _put(state: TrainState, weights: dict[str, Tensor]) -> None:
    for name, parameter in state.learner.model.named_parameters():
        parameter.copy_(weights[name])
