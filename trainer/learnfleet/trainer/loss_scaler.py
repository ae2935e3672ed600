"""Keeps gradients of float16 computations from underflow: the loss is scaled up, the gradients down again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from learnfleet.trainer.distributed import World


@dataclass
class LossScaler:
    """A scale that halves at every overflow and doubles after `max_noskip` steps without one (fastai v1's rules).

    A step whose gradients are not all finite is left out whole: weights, moments and decay do not move, also where the
    scale is fixed (fastai v1 let Adam's momentum and the decay move the weights, and never looked at a fixed scale).
    """

    scale: float
    dynamic: bool = True
    max_noskip: int = 1000
    max_scale: float = 2.0**24
    good_steps: int = 0  # since the scale last changed

    @torch.no_grad()
    def unscale(self, gradients: Sequence[Tensor], divisor: float, world: World) -> bool:
        """Divide by the scale (and by `divisor`). True when the step must be left out, alike on all ranks.

        Every rank must call.
        """
        torch._foreach_mul_(list(gradients), 1.0 / (self.scale * divisor))
        greatest = torch.stack(torch._foreach_norm(list(gradients), float("inf")))
        has_overflown = world.any(not bool(torch.isfinite(greatest).all()))
        if self.dynamic:
            self._adapt(has_overflown)
        return has_overflown

    def _adapt(self, has_overflown: bool) -> None:
        if has_overflown:
            self.scale, self.good_steps = max(self.scale / 2, 1.0), 0
            return
        self.good_steps += 1
        if self.good_steps >= self.max_noskip and self.scale < self.max_scale:
            self.scale, self.good_steps = self.scale * 2, 0
