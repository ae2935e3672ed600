"""Memory used in each epoch, as columns of the table (fastai v1 `PeakMemMetric`)."""

from __future__ import annotations

import tracemalloc
from typing import TYPE_CHECKING, ClassVar

import torch

from learnfleet.trainer.callback import LearnerCallback
from learnfleet.trainer.state import TrainState

if TYPE_CHECKING:
    from learnfleet.trainer.learner import Learner

_NAMES = ("cpu used", "cpu peak", "gpu used", "gpu peak")
_MB = 2**20


class PeakMemMetric(LearnerCallback):
    """Whole megabytes that an epoch has added, and its peak above that: of Python's memory (tracemalloc, which makes
    training slower) and of the GPU's by torch. Without a GPU its columns are 0; fastai v1 refuses to run then. Of
    several ranks the greatest counts.
    """

    order: ClassVar[int] = -20  # before the recorder

    def __init__(self, learn: Learner) -> None:
        super().__init__(learn)
        self._started_here = False
        self._before = (0, 0)

    def on_train_begin(self, state: TrainState) -> None:
        state.learner.recorder.add_metric_names(_NAMES)
        self._started_here = not tracemalloc.is_tracing()
        if self._started_here:
            tracemalloc.start()

    def on_epoch_begin(self, state: TrainState) -> None:
        tracemalloc.reset_peak()
        if state.learner.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(state.learner.device)
        self._before = (tracemalloc.get_traced_memory()[0], _gpu(state)[0])

    def on_epoch_end(self, state: TrainState) -> None:
        values = []
        for (used, peak), before in zip((tracemalloc.get_traced_memory(), _gpu(state)), self._before, strict=True):
            values += [(used - before) // _MB, max(0, peak - max(used, before)) // _MB]
        state.last_metrics = [*state.last_metrics, *state.learner.world.max(torch.tensor(values)).tolist()]

    def on_train_end(self, state: TrainState) -> None:
        if self._started_here:
            tracemalloc.stop()


def _gpu(state: TrainState) -> tuple[int, int]:
    """Bytes in use and their peak."""
    device = state.learner.device
    if device.type != "cuda":
        return 0, 0
    return torch.cuda.memory_allocated(device), torch.cuda.max_memory_allocated(device)
