"""One server exports at a time: what begins, ends and begins again."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from support.mlflow_server import until
from support.tracked_jobs import add_epoch, queue_job, run_job, start_job
from support.tracking import TWO_EPOCHS, Tracking

from learnfleet.server.errors import NotFound


def test_an_exporter_that_was_stopped_goes_on_where_another_has_left_off(tracking: Tracking) -> None:
    first = tracking.exporter
    run_job(tracking.store, "one")
    first.start()
    until(lambda: tracking.store.jobs_behind("mlflow") == [])
    first.stop()
    tracking.restart()  # the other server's
    run_job(tracking.store, "two")
    tracking.step_for(1)
    run_job(tracking.store, "three")
    first.start()
    until(lambda: tracking.store.jobs_behind("mlflow") == [])
    first.stop()
    assert [tracking.points(job_id) for job_id in ("one", "two", "three")] == [TWO_EPOCHS] * 3


def test_stopping_exports_what_there_is_and_abandoning_does_not(tracking: Tracking) -> None:
    tracking.exporter.start()
    run_job(tracking.store, "last")
    tracking.exporter.stop()
    assert tracking.points("last") == TWO_EPOCHS
    entered, may_go_on = threading.Event(), threading.Event()

    def fault(call: str, arguments: tuple[Any, ...]) -> Exception | None:
        entered.set()
        assert may_go_on.wait(60)
        return None

    run_job(tracking.store, "first")
    run_job(tracking.store, "second")
    tracking.mlflow.fault = fault
    tracking.restart()
    tracking.exporter.start()
    assert entered.wait(60)
    tracking.exporter.abandon()
    may_go_on.set()
    tracking.exporter.stop(60, drain=False)
    tracking.mlflow.fault = lambda call, arguments: None
    assert tracking.run_of("jobs/second") is None


def test_a_job_that_was_deleted_is_forgotten(tracking: Tracking, monkeypatch: pytest.MonkeyPatch) -> None:
    queue_job(tracking.store, "gone")
    start_job(tracking.store, "gone")
    tracking.step_for(1)
    add_epoch(tracking.store, "gone", 0)
    tracking.exporter.wake("gone")

    def no_job(*arguments: Any) -> Any:
        raise NotFound("jobs/gone")

    with monkeypatch.context() as patched:
        patched.setattr(tracking.store, "read_events", no_job)
        patched.setattr(tracking.store, "get_job", no_job)
        patched.setattr(tracking.store, "jobs_behind", lambda *arguments: [])
        tracking.step_for(1)
        calls = len(tracking.mlflow.calls)
        tracking.step_for(600)
    assert len(tracking.mlflow.calls) == calls
