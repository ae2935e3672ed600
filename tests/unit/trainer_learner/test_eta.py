"""The time that a job says it still takes, by a clock that the job's own work moves."""

from __future__ import annotations

from itertools import cycle
from pathlib import Path
from typing import Any

import pytest
from support.memory_data import MemoryData, a_learner

from learnfleet.trainer.callback import Callback
from learnfleet.trainer.eta import Work, work_of
from learnfleet.trainer.run import run_train
from learnfleet.trainer.run_context import RunContext
from learnfleet.trainer.spec import FitOneCycleStage, FitStage, FreezeStage, LrFindStage, Stage
from learnfleet.trainer.state import TrainState

BATCHES = 4  # an epoch
SLOW_START_S, VALIDATION_BATCH_S = 20.0, 1.5


class Clock(Callback):
    """Time passes with batches: 1.8 or 2.2 s in training, after a first one that takes long."""

    def __init__(self) -> None:
        self.now_s, self._batch_s = 0.0, cycle([1.8, 2.2])

    def on_batch_begin(self, state: TrainState) -> None:
        if not state.train:
            self.now_s += VALIDATION_BATCH_S
        else:
            self.now_s += next(self._batch_s) + SLOW_START_S * (state.global_step == 0)


def estimates(folder: Path, stages: list[Stage], n_train: int = 30) -> list[tuple[int, int, float, float]]:
    """(stage, epoch, estimated seconds, true seconds) of each batch event."""
    clock, told = Clock(), list[tuple[float, dict[str, Any]]]()

    def emit(_: str, kind: str, data: dict[str, Any]) -> None:
        if kind == "batch":
            told.append((clock.now_s, data))

    context = RunContext("job", 1, emit, lambda: False, folder, checkpoint_every_s=None, clock_s=lambda: clock.now_s)
    run_train(a_learner(MemoryData(n_train, n_valid=23), callbacks=[clock]), stages, context)
    return [(data["stage"], data["epoch"], data["eta_s"], clock.now_s - at_s) for at_s, data in told]


def test_the_end_of_the_job_is_told_within_15_percent_from_the_second_epoch_on(tmp_path: Path) -> None:
    seen = estimates(tmp_path, [FitStage(6), FreezeStage(1), FitOneCycleStage(5)], n_train=350)
    late = [(eta_s, true_s) for stage, epoch, eta_s, true_s in seen if (stage, epoch) > (0, 0)]
    assert len(late) == 10 * 50
    for eta_s, true_s in late:
        assert eta_s == pytest.approx(true_s, rel=0.15)


def test_validation_counts_before_one_was_measured(tmp_path: Path) -> None:
    *_, (_, _, eta_s, true_s) = estimates(tmp_path, [FitStage(1)])
    assert true_s == 5 * VALIDATION_BATCH_S
    assert eta_s > 0


def test_a_stages_work_is_its_batches_and_validations() -> None:
    assert work_of([LrFindStage(num_it=30)], BATCHES) == Work(30, 0)
    assert work_of([FreezeStage(-1), FitStage(3)], BATCHES) == Work(12, 3)
    assert work_of([FitOneCycleStage(5, start_epoch=2)], BATCHES) == Work(12, 3)
    assert work_of([], BATCHES) == Work(0, 0)
