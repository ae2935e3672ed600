"""Options: how a Learner computes, and on what."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import torch
from torch import nn

from learnfleet.trainer.callback import Callback
from learnfleet.trainer.distributed import current_world, setup_distrib
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.gradients import GradientClipping
from learnfleet.trainer.learner_core import LearnerCore
from learnfleet.trainer.mixed_precision import MixedPrecision
from learnfleet.trainer.precision import Precision

if TYPE_CHECKING:
    from learnfleet.trainer.learner import Learner


class LearnerOptions(LearnerCore):
    """The part of `Learner` that sets up training. Each method returns the learner."""

    def add_callbacks(self, *callbacks: Callback) -> Learner:
        """Callbacks that take part in every fit from now on."""
        self.callbacks += callbacks
        return self.whole

    def remove_callbacks(self, kind: type[Callback]) -> Learner:
        """Take the learner's own callbacks of a class out again."""
        self.callbacks = [callback for callback in self.callbacks if not isinstance(callback, kind)]
        return self.whole

    def clip_grad(self, clip: float = 0.1) -> Learner:
        """Scale all gradients together down to this norm, in every fit; 0 ends it."""
        clipping = GradientClipping(self.whole, clip)
        return self.remove_callbacks(GradientClipping).add_callbacks(clipping)

    def to_fp16(
        self,
        loss_scale: float | None = None,
        max_noskip: int = 1000,
        dynamic: bool = True,
        clip: float | None = None,
        flat_master: bool = False,
        max_scale: float = 2.0**24,
        loss_fp32: bool = True,
    ) -> Learner:
        """Compute in float16 where that is safe, on float32 weights, and scale the loss. See `MixedPrecision`."""
        self.to_fp32()
        mixed = MixedPrecision(self.whole, loss_scale, max_noskip, dynamic, clip, flat_master, max_scale, loss_fp32)
        self.precision = mixed.precision
        return self.add_callbacks(mixed)

    def to_bf16(self, loss_fp32: bool = True) -> Learner:
        """Compute in bfloat16 where that is safe, on float32 weights. The loss needs no scale."""
        self.to_fp32()
        self.precision = Precision(torch.bfloat16, self.device.type, loss_fp32)
        return self.whole

    def to_fp32(self) -> Learner:
        """Compute in float32."""
        self.precision = Precision()
        return self.remove_callbacks(MixedPrecision)

    def to_parallel(self) -> Learner:
        """Share each training batch among this machine's GPUs, from one process (torch's DataParallel).

        With fewer than two nothing changes, and a warning says so. `to_distributed` is faster.
        """
        count = torch.cuda.device_count()
        self.is_parallel = count > 1
        if not self.is_parallel:
            warnings.warn(
                f"to_parallel: there are {count} CUDA devices here, so training stays on {self.device}. Several"
                " processes train together on CPUs, too: see to_distributed",
                stacklevel=2,
            )
        return self.whole

    def to_distributed(self, cuda_id: int | None = None) -> Learner:
        """Train together with the other processes of this job, one batch shared by all. Every process must call.

        They are those that torch.distributed has joined already, or else those that `torchrun` has started (RANK,
        WORLD_SIZE, MASTER_ADDR and MASTER_PORT in the environment). Losses and metrics are those of all processes, so
        no process writes files of its own (fastai v1 wrote each one's losses to `cache_dir`).

        Args:
            cuda_id: this process's GPU, where the data must be. None: the CPU.
        """
        setup_distrib(cuda_id)
        if cuda_id is not None and (self.device.type != "cuda" or self.device.index not in (None, cuda_id)):
            raise LearnerError(
                "to_distributed",
                f"the data are on {self.device}, not on GPU {cuda_id}: make them with device=torch.device('cuda',"
                f" {cuda_id})",
            )
        self.world = current_world()
        return self.whole

    def wrapped_model(self) -> nn.Module:
        """What is called in training."""
        if self.is_parallel and self.world.size == 1:
            return nn.DataParallel(self.model)
        return self.world.wrap(self.model)
