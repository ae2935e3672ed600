"""Free memory goes back to the machine at an epoch's end."""

from __future__ import annotations

import psutil
import pytest
import torch
from support.memory_data import a_learner

from learnfleet.trainer import heap
from learnfleet.trainer.heap import ReleaseFreeMemory
from learnfleet.trainer.state import TrainState

_COUNT, _BYTES = 3000, 2**15


def test_what_was_freed_between_what_is_held_is_given_back_at_an_epochs_end() -> None:
    if heap._trim() is None:
        pytest.skip("the C library is not glibc")
    blocks = [torch.ones(_BYTES // 4) for _ in range(_COUNT)]
    held = blocks[::100]
    before = psutil.Process().memory_info().rss
    del blocks
    ReleaseFreeMemory().on_epoch_end(TrainState(a_learner(), a_learner().model, 1, 1))
    assert before - psutil.Process().memory_info().rss > _COUNT * _BYTES / 2
    assert all(bool(block.all()) for block in held)
