"""A learner put back to where it was, bit for bit, without a file."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from learnfleet.trainer.learner import Learner


class Rewind:
    """The state of a learner when this is made: weights, buffers, optimiser, counters and random generators.

    It is held in memory, on the model's device, so that searches side by side know nothing of each other.
    """

    def __init__(self, learner: Learner) -> None:
        self._model = {name: value.detach().clone() for name, value in _tensors(learner)}
        optimizer = learner.require_optimizer()
        self._moments = {name: value.clone() for name, value in optimizer.tensors().items()}
        self._hyper_parameters = optimizer.hyper_parameters()
        self._counters = learner.global_step, learner.lifetime_epoch
        self._generators = _Generators(learner.device)

    @torch.no_grad()
    def restore(self, learner: Learner) -> None:
        """Put it back. The model must be the same object, frozen as it was."""
        for name, value in _tensors(learner):
            value.copy_(self._model[name])
        optimizer = learner.require_optimizer()
        optimizer.load_tensors(self._moments)
        optimizer.load_hyper_parameters(self._hyper_parameters)
        optimizer.zero_grad()
        learner.global_step, learner.lifetime_epoch = self._counters
        self._generators.restore()


def _tensors(learner: Learner) -> list[tuple[str, torch.Tensor]]:
    """Buffers that are not saved are among them."""
    return [*learner.model.named_parameters(), *learner.model.named_buffers()]


class _Generators:
    """The states of the process's random generators."""

    def __init__(self, device: torch.device) -> None:
        self._python, self._numpy, self._torch = random.getstate(), np.random.get_state(), torch.get_rng_state()
        self._cuda = torch.cuda.get_rng_state_all() if device.type == "cuda" else []

    def restore(self) -> None:
        random.setstate(self._python)
        np.random.set_state(self._numpy)
        torch.set_rng_state(self._torch)
        if self._cuda:
            torch.cuda.set_rng_state_all(self._cuda)
