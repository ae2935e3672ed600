"""Training in float16 (fastai v1 `to_fp16`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import nn

from learnfleet.trainer.callback import LearnerCallback
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.loss_scaler import LossScaler
from learnfleet.trainer.precision import Precision
from learnfleet.trainer.state import TrainState

if TYPE_CHECKING:
    from learnfleet.trainer.learner import Learner

_DYNAMIC_SCALE, _STATIC_SCALE = 2.0**16, 512.0


class MixedPrecision(LearnerCallback):
    """Computes in float16 by autocast, with float32 weights and a scaled loss. `to_fp16` adds it to a learner.

    Callbacks see losses and gradients unscaled, whatever their order. Each fit begins with the first scale.

    Args:
        loss_scale: the scale, or the first one where `dynamic`. Default: 65536 if dynamic, else 512.
        max_noskip: steps without overflow after which the scale doubles.
        clip: greatest norm of the gradients of each parameter group.
        flat_master: of v1's copies of the weights, which autocast does not make: it must be False.
        max_scale: the scale does not grow beyond.
        loss_fp32: the loss is computed in float32.

    Source: Micikevicius et al., "Mixed precision training", 2018, arXiv:1710.03740.
    """

    order: ClassVar[int] = 999
    in_lr_find: ClassVar[bool] = True

    def __init__(
        self,
        learn: Learner,
        loss_scale: float | None = None,
        max_noskip: int = 1000,
        dynamic: bool = True,
        clip: float | None = None,
        flat_master: bool = False,
        max_scale: float = 2.0**24,
        loss_fp32: bool = True,
    ) -> None:
        super().__init__(learn)
        if flat_master:
            raise LearnerError(
                "flat_master",
                "there are no copies of the weights to flatten: autocast computes in float16 on float32 weights. Leave"
                " it out",
            )
        if max_noskip < 1 or (loss_scale is not None and loss_scale <= 0) or (clip is not None and clip <= 0):
            raise LearnerError("to_fp16", "loss_scale and clip must be above 0, max_noskip at least 1")
        self._first_scale = loss_scale or (_DYNAMIC_SCALE if dynamic else _STATIC_SCALE)
        self._rules = dynamic, max_noskip, max_scale
        self.clip = clip
        self.precision = Precision(torch.float16, learn.device.type, loss_fp32)
        self.scaler = self._new_scaler()
        self._before = learn.precision

    def _new_scaler(self) -> LossScaler:
        return LossScaler(self._first_scale, *self._rules)

    @property
    def loss_scale(self) -> float:
        return self.scaler.scale

    def on_train_begin(self, state: TrainState) -> None:
        self._before, state.learner.precision = state.learner.precision, self.precision
        self.scaler = state.scaler = self._new_scaler()

    def on_backward_end(self, state: TrainState) -> None:
        if self.clip is None or state.accumulating or state.overflow:
            return
        for group in state.learner.require_optimizer().param_groups:
            nn.utils.clip_grad_norm_(group["params"], self.clip)

    def on_train_end(self, state: TrainState) -> None:
        state.learner.precision = self._before

    def state_dict(self) -> dict[str, Any]:
        return {"scale": self.scaler.scale, "good_steps": self.scaler.good_steps}

    def load_state_dict(self, values: dict[str, Any]) -> None:
        self.scaler.scale, self.scaler.good_steps = float(values["scale"]), int(values["good_steps"])
