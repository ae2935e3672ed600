"""Mixed pictures: MixUp (fastai v1) and CutMix (v2)."""

from __future__ import annotations

import math
from inspect import signature
from typing import TYPE_CHECKING, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from learnfleet.trainer.batch import count_items
from learnfleet.trainer.callback import LearnerCallback
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.loss_functions import reduced
from learnfleet.trainer.losses import Loss, activation_of, decodes_of
from learnfleet.trainer.state import TrainState

if TYPE_CHECKING:
    from learnfleet.trainer.learner import Learner


class MixUpLoss(nn.Module):
    """lam * loss(output, y) + (1 - lam) * loss(output, y2), of each item; plain targets get the plain loss.

    Mixed targets are the tuple (y, y2, lam [N]). fastai v1 stacks them as columns of floats, which rounds class
    indices from 2^24 on; here they keep their type.
    """

    def __init__(self, loss: Loss) -> None:
        super().__init__()
        takes_reduction = "reduction" in signature(loss).parameters  # as torch.nn.functional's
        if not hasattr(loss, "reduction") and not takes_reduction:
            raise LearnerError("loss_func", "mixed pictures need a loss with a `reduction`, as torch's have")
        self.inner, self.reduction = loss, str(getattr(loss, "reduction", "mean"))

    def forward(
        self, output: Tensor, target: Tensor, target2: Tensor | None = None, lam: Tensor | None = None
    ) -> Tensor:
        if target2 is None or lam is None:
            return self._inner(output, target, self.reduction)
        first, second = (self._per_item(output, y) for y in (target, target2))
        return reduced(lam * first + (1 - lam) * second, self.reduction)

    def _inner(self, output: Tensor, target: Tensor, reduction: str) -> Tensor:
        if not hasattr(self.inner, "reduction"):
            return self.inner(output, target, reduction=reduction)
        before = self.inner.reduction
        self.inner.reduction = reduction
        try:
            return self.inner(output, target)
        finally:
            self.inner.reduction = before

    def _per_item(self, output: Tensor, target: Tensor) -> Tensor:
        return self._inner(output, target, "none").reshape(len(target), -1).mean(dim=1)

    def activation(self, output: Tensor) -> Tensor:
        return activation_of(self.inner)(output)

    def decodes(self, activated: Tensor) -> Tensor:
        return decodes_of(self.inner)(activated)


class _Mixing(LearnerCallback):
    """Puts the loss that understands mixed targets in place for the time of a fit."""

    in_lr_find: ClassVar[bool] = True

    def __init__(self, learn: Learner, alpha: float, stack_y: bool = True) -> None:
        super().__init__(learn)
        if not alpha > 0:
            raise LearnerError("alpha", f"{alpha} is not possible: a Beta distribution needs a positive number")
        self.alpha, self.stack_y = alpha, stack_y
        self._before: Loss | None = None

    def on_train_begin(self, state: TrainState) -> None:
        if self.stack_y and not isinstance(state.learner.loss_func, MixUpLoss):
            self._before = state.learner.loss_func
            state.learner.loss_func = MixUpLoss(self._before)

    def on_train_end(self, state: TrainState) -> None:
        if self._before is not None:
            state.learner.loss_func, self._before = self._before, None

    def draw(self, count: int) -> Tensor:
        """float32 [count] of Beta(alpha, alpha). The loop seeds torch for each step, so a resumed step repeats it."""
        return torch.distributions.Beta(self.alpha, self.alpha).sample((count,))


class MixUpCallback(_Mixing):
    """Trains on sums of two pictures: x lam + x[other] (1 - lam), lam of Beta(alpha, alpha), at least 1/2, an item.

    Args:
        stack_x: give the model (x, x[other], lam) instead of their sum.
        stack_y: mix the losses; False mixes the targets themselves (numbers, or classes as 0 and 1).

    Source: Zhang et al., "mixup: beyond empirical risk minimization", 2017, arXiv:1710.09412.
    """

    def __init__(self, learn: Learner, alpha: float = 0.4, stack_x: bool = False, stack_y: bool = True) -> None:
        super().__init__(learn, alpha, stack_y)
        self.stack_x = stack_x

    def on_batch_begin(self, state: TrainState) -> None:
        if not state.train:
            return
        x, y = state.last_input, state.last_target
        count = count_items(x)
        lam = self.draw(count).to(x.device)
        lam = torch.maximum(lam, 1 - lam)
        other = torch.randperm(count, device="cpu").to(x.device)
        weight = lam.view(-1, *[1] * (x.ndim - 1))
        state.last_input = (x, x[other], lam) if self.stack_x else x * weight + x[other] * (1 - weight)
        state.last_target = (y, y[other], lam) if self.stack_y else _mixed(y, other, lam, state)


def _mixed(y: Tensor, other: Tensor, lam: Tensor, state: TrainState) -> Tensor:
    if not y.is_floating_point():
        if y.ndim != 1:
            raise LearnerError(
                "stack_y", f"False mixes numbers, or one class an item, not {list(y.shape)}: leave it True"
            )
        y = F.one_hot(y, state.learner.data.c).float()
    weight = lam.view(-1, *[1] * (y.ndim - 1))
    return y * weight + y[other] * (1 - weight)


class CutMixCallback(_Mixing):
    """Trains on pictures with a box from another: lam of Beta(alpha, alpha) a batch, then 1 - the box's true share.

    Source: Yun et al., "CutMix", 2019, arXiv:1905.04899; fastai v2 `CutMix`.
    """

    def __init__(self, learn: Learner, alpha: float = 1.0) -> None:
        super().__init__(learn, alpha)

    def on_batch_begin(self, state: TrainState) -> None:
        if not state.train:
            return
        x, y = state.last_input, state.last_target
        rows, columns = x.shape[-2:]
        top, bottom, left, right = cut_box(rows, columns, float(self.draw(1)), torch.rand(2).tolist())
        other = torch.randperm(len(x), device="cpu").to(x.device)
        x = x.clone()
        x[..., top:bottom, left:right] = x[other][..., top:bottom, left:right]
        lam = 1 - (bottom - top) * (right - left) / (rows * columns)
        state.last_input, state.last_target = x, (y, y[other], x.new_full((len(x),), lam))


def cut_box(rows: int, columns: int, lam: float, centre: list[float]) -> tuple[int, int, int, int]:
    """(top, bottom, left, right) of a box with sides sqrt(1 - lam) of the picture's, cut off at its edges.

    Args:
        centre: two numbers in [0, 1).
    """
    share = math.sqrt(1 - lam)
    height, width = round(rows * share), round(columns * share)
    row, column = int(centre[0] * rows), int(centre[1] * columns)
    top, left = max(row - height // 2, 0), max(column - width // 2, 0)
    return top, min(row + (height + 1) // 2, rows), left, min(column + (width + 1) // 2, columns)
