"""Letting go of what a Learner holds."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from learnfleet.trainer.learner import Learner

DESTROYED = "_is_destroyed"  # the only attribute that a destroyed learner has


def purge(learner: Learner, *, clear_opt: bool) -> None:
    """Let go of gradients, of the optimiser under `clear_opt`, and of the device's cached blocks."""
    for parameter in learner.model.parameters():
        parameter.grad = None
    if clear_opt:
        learner.opt = None
    _collect()


def destroy(learner: Learner) -> None:
    """Let go of all attributes. `LearnerCore.__getattr__` tells whoever asks for one."""
    learner.__dict__.clear()
    learner.__dict__[DESTROYED] = True
    _collect()


def _collect() -> None:
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
