"""The epoch table and the plots."""

from __future__ import annotations

import pytest
from support.memory_data import a_learner

from learnfleet.trainer.recorder import EpochRow, Recorder, format_time


def test_the_table_has_fastais_columns_and_format() -> None:
    recorder = Recorder()
    recorder.metric_names = ["accuracy"]
    assert ",".join(recorder.names) == "epoch,train_loss,valid_loss,accuracy,time"
    row = EpochRow(0, 0, 0.7214581, 0.6882, {"accuracy": 0.5}, 0.4)
    assert recorder.format_row(row) == "0,0.721458,0.688200,0.500000,00:00"


def test_an_epoch_without_validation_shows_na() -> None:
    recorder = Recorder()
    recorder.metric_names = ["accuracy"]
    assert recorder.format_row(EpochRow(1, 1, 0.5, None, {}, 61.0)) == "1,0.500000,#na#,#na#,01:01"


def test_hours_appear_from_the_first_on() -> None:
    assert [format_time(time_s) for time_s in (59.9, 3599, 3600 + 62)] == ["00:59", "59:59", "1:01:02"]


def test_it_records_each_batch_and_each_epoch() -> None:
    learner = a_learner(metrics=["accuracy", "error_rate"])
    learner.fit(2, 1e-3)
    recorder = learner.recorder
    assert (len(recorder.losses), len(recorder.lrs), len(recorder.moms)) == (8, 8, 8)
    assert recorder.nb_batches == [4, 4]
    assert recorder.lrs == [1e-3] * 8
    assert [sum(values) for values in recorder.metrics] == pytest.approx([1.0, 1.0])
    assert [row.train_loss for row in recorder.rows] == [recorder.losses[3], recorder.losses[7]]


def test_every_fit_has_a_record_of_its_own_but_counts_epochs_on() -> None:
    learner = a_learner()
    learner.fit(1)
    learner.fit(1)
    assert [(row.epoch, row.lifetime_epoch) for row in learner.recorder.rows] == [(0, 1)]


def test_the_table_is_written_unless_silent(capsys: pytest.CaptureFixture[str]) -> None:
    a_learner(metrics="accuracy", silent=False).fit(1)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["epoch", "train_loss", "valid_loss", "accuracy", "time"]
    assert len(lines) == 2
    a_learner().fit(1)
    assert capsys.readouterr().out == ""
