"""Each point once, at its time, and the epoch table."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from support.tracked_jobs import NOW, add_epoch, queue_job, run_job, start_job
from support.tracking import TWO_EPOCHS, Tracking

from learnfleet.server.domain import JobState


def test_what_nobody_told_of_is_found_within_a_minute_and_a_wake_looks_at_its_job_alone(
    tracking: Tracking, monkeypatch: pytest.MonkeyPatch
) -> None:
    scans: list[float] = []
    look = tracking.store.jobs_behind

    def counted(consumer: str, limit: int) -> list[str]:
        if consumer == "mlflow":
            scans.append(tracking.now_s)
        return look(consumer, limit)

    monkeypatch.setattr(tracking.store, "jobs_behind", counted)
    queue_job(tracking.store, "told")
    start_job(tracking.store, "told")
    tracking.step_for(1)
    for epoch in range(5):
        add_epoch(tracking.store, "told", epoch)
        tracking.exporter.wake("told")
        tracking.step_for(1)
        assert len(tracking.points("told")) == epoch + 1
    assert scans == [0.0]
    run_job(tracking.store, "untold")
    tracking.step_for(60)
    assert len(scans) == 2
    assert tracking.points("untold") == TWO_EPOCHS


def test_the_epoch_table_grows_without_reading_the_log_anew(
    tracking: Tracking, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []
    read_events = tracking.store.read_events

    def counted(*arguments: Any) -> list[Any]:
        events = read_events(*arguments)
        read.extend(stored.sequence for stored in events)
        return events

    monkeypatch.setattr(tracking.store, "read_events", counted)
    queue_job(tracking.store, "long")
    start_job(tracking.store, "long")
    for epoch in range(8):
        if epoch == 5:
            tracking.restart()
        add_epoch(tracking.store, "long", epoch)
        tracking.exporter.wake("long")
        tracking.step_for(1)
    assert [line.split(",")[:3] for line in tracking.artifact("long", "epochs.csv").splitlines()[1:]] == [
        ["0", str(epoch), str(10 * (epoch + 1))] for epoch in range(8)
    ]
    assert Counter(read) == Counter(
        [*range(1, 12), *range(1, 9)]
    )  # once, and after the restart what was sent before it


def test_times_of_points_never_decrease_when_a_clock_is_set_back(tracking: Tracking) -> None:
    queue_job(tracking.store, "clock")
    start_job(tracking.store, "clock")
    for epoch, after_s in enumerate([100, 40, 120, 110]):
        if epoch == 3:
            tracking.restart()
        add_epoch(tracking.store, "clock", epoch, after_s=after_s)
        tracking.exporter.wake("clock")
        tracking.step_for(1)
    tracking.store.transition("clock", JobState.SUCCEEDED)
    tracking.exporter.wake("clock")
    tracking.step_for(1)
    start_ms = round(NOW.timestamp() * 1000)
    points = tracking.history("clock", "valid_loss")
    assert [point.timestamp - start_ms for point in points] == [100_000, 100_000, 120_000, 120_000]
    assert tracking.run_of("jobs/clock").info.end_time - start_ms == 120_000


@pytest.mark.parametrize("restarts", [False, True])
def test_points_whose_cursor_was_not_written_are_sent_again_and_are_there_once(
    tracking: Tracking, monkeypatch: pytest.MonkeyPatch, restarts: bool
) -> None:
    queue_job(tracking.store, "again")
    start_job(tracking.store, "again")
    add_epoch(tracking.store, "again", 0, after_s=100)
    tracking.step_for(1)
    add_epoch(tracking.store, "again", 1, after_s=40)
    tracking.exporter.wake("again")
    with monkeypatch.context() as patched:
        patched.setattr(tracking.store, "advance_cursor", lambda *arguments: 1 / 0)
        tracking.step_for(1)
    if restarts:
        tracking.restart()
    tracking.step_for(10)
    assert tracking.points("again") == TWO_EPOCHS
    assert tracking.mlflow.calls.count("log_batch") > 3
    assert tracking.store.jobs_behind("mlflow") == []


def test_points_that_mlflow_did_not_take_are_not_passed_over(tracking: Tracking) -> None:
    run_job(tracking.store, "lost")

    def fault(call: str, arguments: tuple[Any, ...]) -> Exception | None:
        has_points = call == "log_batch" and arguments[-1] and hasattr(arguments[-1][0], "step")
        return RuntimeError("500") if has_points else None

    tracking.mlflow.fault = fault
    tracking.step_for(1)
    tracking.mlflow.fault = lambda call, arguments: None
    tracking.restart()
    tracking.step_for(1)
    assert tracking.points("lost") == TWO_EPOCHS
