"""What docs/learner.md says of differences from fastai v1, where no feature's own test says it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from support.memory_data import MemoryData, a_learner
from torch import nn

from learnfleet.trainer import DataBunch, Learner
from learnfleet.trainer.schedules import OneCycleScheduler
from learnfleet.trainer.trackers import EarlyStoppingCallback


def test_f039_after_a_freeze_there_is_no_optimizer_until_the_next_fit() -> None:
    learner = a_learner()
    learner.fit(1)
    learner.freeze()
    assert learner.opt is None
    learner.fit(1, slice(1e-3))
    assert learner.require_optimizer().lr == 1e-3


def test_f044_the_optimizer_has_no_attribute_that_nobody_gave_it() -> None:
    learner = a_learner()
    learner.fit(1)
    with pytest.raises(AttributeError, match="momemtum"):
        _ = learner.require_optimizer().momemtum  # type: ignore[attr-defined]


def test_f070_a_slice_given_to_the_scheduler_is_that_of_fit_one_cycle() -> None:
    by_callback, by_method = a_learner(), a_learner()
    by_callback.fit(1, callbacks=[OneCycleScheduler(by_callback, slice(1e-4, 1e-2))])
    by_method.fit_one_cycle(1, slice(1e-4, 1e-2))
    assert by_callback.recorder.lrs == by_method.recorder.lrs
    rates = [
        [group["lr"] for group in learner.require_optimizer().param_groups] for learner in (by_callback, by_method)
    ]
    assert rates[0] == rates[1]


def test_f080_train_loss_is_watched_without_validation_and_a_last_metric_without_times() -> None:
    items = [(torch.zeros(4), 0)] * 8
    unvalidated = Learner(DataBunch.create(items, bs=4), nn.Linear(4, 2), silent=True)  # type: ignore[arg-type]
    unvalidated.fit(5, 1e-9, callbacks=[EarlyStoppingCallback(unvalidated, "train_loss", min_delta=100.0)])
    untimed = a_learner(metrics=["accuracy"], add_time=False)
    untimed.fit(5, 1e-9, callbacks=[EarlyStoppingCallback(untimed, "accuracy", min_delta=100.0)])
    assert [len(learner.recorder.rows) for learner in (unvalidated, untimed)] == [2, 2]


def test_f087_a_record_is_of_one_fit() -> None:
    learner = a_learner()
    learner.fit(2)
    learner.fit(1)
    assert (len(learner.recorder.losses), len(learner.recorder.val_losses)) == (4, 1)
    assert [row.epoch for row in learner.recorder.rows] == [0]


def test_f115_a_name_with_an_ending_is_kept_as_it_is(tmp_path: Path) -> None:
    learner = a_learner(MemoryData(path=tmp_path))
    assert learner.save("b.pth", return_path=True) == tmp_path / "models" / "b.pth"
    assert learner.load("b.pth") is learner
