"""Validation and predictions that are asked to stop, alone and on two ranks."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.labelled_data import body_and_head, category_data, quiet
from support.memory_data import MemoryData, a_learner
from support.ranks import run_ranks

from learnfleet.trainer import run_evaluate
from learnfleet.trainer.callback import Callback
from learnfleet.trainer.ema import EMACallback
from learnfleet.trainer.interruption import Interrupted
from learnfleet.trainer.learner import Learner
from learnfleet.trainer.run import TrainOutcome, run_train
from learnfleet.trainer.run_context import RunContext
from learnfleet.trainer.run_interpret import run_interpret
from learnfleet.trainer.spec import FitStage
from learnfleet.trainer.state import TrainState

STOP_AT = 2  # validation batches of at least 4 a rank
Examination = Callable[[Learner, RunContext], object]
EXAMINATIONS: dict[str, Examination] = {
    "validate": lambda learn, context: run_evaluate.run_validate(learn, context, dataset="valid", metrics=None),
    "get_preds": lambda learn, context: run_evaluate.run_get_preds(
        learn,
        context,
        dataset="valid",
        with_loss=True,
        n_batch=None,
        tta_beta=None,
        tta_scale=1.35,
        output_dir=context.checkpoint_root,
    ),
    "interpret": lambda learn, context: run_interpret(
        learn, context, top_losses=0, min_confused=1, output_dir=context.checkpoint_root
    ),
}


class CountBatches(Callback):
    """Validation batches that were begun."""

    def __init__(self) -> None:
        self.seen = 0

    def on_batch_begin(self, state: TrainState) -> None:
        self.seen += not state.train


def a_context(root: Path, stop_requested: Callable[[], bool], attempt: int = 1) -> RunContext:
    return RunContext("job", attempt, lambda *_: None, stop_requested, root, checkpoint_every_s=None)


def at_poll(number: int) -> Callable[[], bool]:
    polls = itertools.count(1)
    return lambda: next(polls) >= number


def examine(name: str, folder: Path, stop_requested: Callable[[], bool]) -> tuple[bool, int]:
    """(whether it was interrupted, batches it began)"""
    count = CountBatches()
    learner = a_learner(MemoryData(n_valid=23), callbacks=[count])
    try:
        EXAMINATIONS[name](learner, a_context(folder, stop_requested))
    except Interrupted:
        learner.validate()  # nobody asks for a stop any more
        return True, count.seen - len(learner.data.valid_dl)
    return False, count.seen


@pytest.mark.parametrize("name", EXAMINATIONS)
def test_an_examination_that_is_asked_to_stop_ends_at_the_next_batch(name: str, tmp_path: Path) -> None:
    assert examine(name, tmp_path, at_poll(STOP_AT)) == (True, STOP_AT)


def test_augmented_predictions_end_at_the_next_batch(tmp_path: Path) -> None:
    count = CountBatches()
    data = category_data(tmp_path / "data")
    learner = quiet(data, body_and_head(3), callbacks=[count])
    a_pass = len(data.valid_dl)
    with pytest.raises(Interrupted):
        run_interpret(
            learner,
            a_context(tmp_path, lambda: count.seen > a_pass),
            top_losses=0,
            min_confused=1,
            output_dir=tmp_path,
            tta=True,
        )
    assert count.seen == a_pass + 1


def examinations(rank: int, folder: Path) -> list[tuple[bool, int]]:
    """Rank 1 alone is asked to stop."""
    return [
        examine(name, folder / name, at_poll(STOP_AT) if rank == 1 else lambda: False) for name in sorted(EXAMINATIONS)
    ]


def training(rank: int, folder: Path) -> bool:
    """Rank 1 alone is asked to stop in the first validation."""
    learner = a_learner(MemoryData(n_valid=23))
    return run_train(learner, [FitStage(2)], a_context(folder, at_poll(4 + STOP_AT) if rank else lambda: False)).stopped


def test_two_ranks_leave_together_when_one_is_asked_to_stop(tmp_path: Path) -> None:
    seen = run_ranks([examinations, training], tmp_path)
    assert [[stopped for stopped, _ in rank] for rank in seen["examinations"]] == [[True] * 3] * 2
    assert [batches for _, batches in seen["examinations"][1]] == [STOP_AT] * 3
    assert seen["training"] == [True, True]


def train(root: Path, attempt: int = 1, resume: Path | None = None, stop_in_epoch: int | None = None) -> TrainOutcome:
    learner: Any = a_learner(MemoryData(n_valid=23))
    count = CountBatches()
    learner.callbacks = [EMACallback(learner, decay=0.5), count]
    batches = len(learner.data.valid_dl)
    stop_at = None if stop_in_epoch is None else batches * stop_in_epoch + STOP_AT
    context = a_context(root, lambda: stop_at is not None and count.seen >= stop_at, attempt)
    outcome = run_train(learner, [FitStage(3)], context, resume)
    if stop_at is not None:
        assert count.seen == stop_at, "it left in the middle of validation"
    return outcome


def test_a_job_stopped_in_validation_goes_on_from_its_last_checkpoint_to_the_same_bits(tmp_path: Path) -> None:
    expected = train(tmp_path / "whole")
    stopped = train(tmp_path / "parts", stop_in_epoch=1)
    assert stopped.stopped
    assert stopped.checkpoint is not None
    assert (stopped.checkpoint.epoch, stopped.checkpoint.step) == (1, 4)
    resumed = train(tmp_path / "parts", 2, stopped.checkpoint.path)
    assert resumed.exact
    assert expected.checkpoint is not None
    same = {"path": Path(), "attempt": 0}
    assert replace(resumed.checkpoint, **same) == replace(expected.checkpoint, **same)
    assert resumed.metrics == expected.metrics


def test_a_job_stopped_in_its_first_validation_may_have_no_checkpoint(tmp_path: Path) -> None:
    stopped = train(tmp_path, stop_in_epoch=0)
    assert stopped.stopped
    assert stopped.checkpoint is None
