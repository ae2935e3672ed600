"""Options: how a Learner computes, and on what."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, cast

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

    def to_channels_last(self, on: bool = True) -> Learner:
        """Keep 4-d weights and activations as [N, H, W, C] in memory (fastai v2 `to_channelslast`); False undoes it.

        Convolutions are mostly faster so, on CPUs and on GPUs in half precision. Shapes and saved files stay the same;
        results differ in the last bits, since sums are taken in another order.
        """
        self.channels_last = on
        self.model.to(memory_format=torch.channels_last if on else torch.contiguous_format)
        if self.opt is not None:
            self.opt.load_tensors(self.opt.tensors())  # moments in the layout of their weights
        return self.whole

    def to_compiled(self, on: bool = True) -> Learner:
        """Train on what torch.compile makes of the model; False ends it. The first step compiles, up to minutes.

        Validation and predictions call the model as it is. Results differ from those of an uncompiled model in the last
        bits. Needs a C++ compiler on CPUs, Triton on GPUs.
        """
        self.is_compiled = on
        if on:
            # Else a hook that comes after the first fit (HookCallback) would never be called.
            torch._dynamo.config.skip_nnmodule_hook_guards = False
        return self.whole

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
        # Compiled for each shape apart: one kernel for all shapes would depend on which of them came first, and with it
        # the last bits of a resumed fit.
        compiled = torch.compile(self.model, dynamic=False) if self.is_compiled else self.model
        return self.world.wrap(cast("nn.Module", compiled))
