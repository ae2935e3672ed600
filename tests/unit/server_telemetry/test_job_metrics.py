"""What the scheduler saw last, and only as long as it is the one that schedules."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client import CollectorRegistry
from support.situations import a_job

from learnfleet.server.domain import Cause, Job, JobKind, JobState, Resources, TrainWork
from learnfleet.server.telemetry.job_metrics import JobMetrics, Look
from learnfleet.trainer.spec import FitStage

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)
JOB = Job("a", "l", JobKind.TRAIN, TrainWork((FitStage(1),)), Resources(), JobState.QUEUED, "", NOW, NOW)


class Told:
    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.metrics = JobMetrics(self.registry)

    def value(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(f"learnfleet_{name}", labels)


@pytest.fixture
def told() -> Told:
    return Told()


def moved(job: Job, to: JobState, after_s: float, **changes: object) -> Job:
    return replace(job, state=to, updated_at=job.updated_at + timedelta(seconds=after_s), **changes)  # type: ignore[arg-type]


def test_a_job_is_timed_from_state_to_state(told: Told) -> None:
    starting = moved(JOB, JobState.STARTING, 30, attempt=1)
    running = moved(starting, JobState.RUNNING, 5, started_at=NOW + timedelta(seconds=35))
    done = moved(running, JobState.SUCCEEDED, 600, ended_at=NOW + timedelta(seconds=635))
    for before, after in ((JOB, starting), (starting, running), (running, done)):
        told.metrics.moved(before, after)

    assert told.value("job_queue_seconds_sum", kind="train") == 30
    assert told.value("job_start_seconds_sum", kind="train") == 5
    assert told.value("job_run_seconds_sum", kind="train", state="succeeded") == 600


def test_failures_and_restarts_are_told_by_what_they_came_from(told: Told) -> None:
    running = moved(JOB, JobState.RUNNING, 1)
    told.metrics.moved(running, moved(running, JobState.RESTARTING, 1, cause=Cause.HANG))
    told.metrics.moved(running, moved(running, JobState.FAILED, 1, cause=Cause.USER))
    # What it came through before says nothing of its end.
    told.metrics.moved(running, moved(running, JobState.SUCCEEDED, 1, cause=Cause.HANG))

    for state, cause in (("restarting", "hang"), ("failed", "user"), ("succeeded", "")):
        assert told.value("job_transitions_total", kind="train", state=state, cause=cause) == 1


def test_a_later_start_is_no_time_in_the_queue(told: Told) -> None:
    restarting = moved(JOB, JobState.RESTARTING, 100, attempt=1)
    told.metrics.moved(restarting, moved(restarting, JobState.STARTING, 10, attempt=2))

    assert told.value("job_queue_seconds_count", kind="train") is None


def test_unfinished_jobs_are_counted_by_kind_and_state(told: Told) -> None:
    jobs = [a_job("a"), a_job("b"), a_job("c", kind=JobKind.EXPORT, state=JobState.RUNNING)]
    told.metrics.looked(Look(jobs, ["slots", "line"], {"cpu": 8}, {"cpu": 6}))

    assert told.value("jobs", kind="train", state="queued") == 2
    assert told.value("jobs", kind="export", state="running") == 1
    assert told.value("jobs_held", reason="slots") == 1
    assert (told.value("slots", kind="cpu"), told.value("slots_at_work", kind="cpu")) == (8, 6)


def test_the_oldest_is_the_one_that_is_queued_for_longest(told: Told) -> None:
    now = datetime.now(UTC)
    jobs = [replace(a_job(f"{hours}"), created_at=now - timedelta(hours=hours)) for hours in (1, 3, 2)]
    done = replace(a_job("running", state=JobState.RUNNING), created_at=now - timedelta(hours=9))
    told.metrics.looked(Look([*jobs, done]))

    assert told.value("job_oldest_queued_seconds") == pytest.approx(3 * 3600, abs=60)


def test_slots_are_told_of_while_nothing_needs_them(told: Told) -> None:
    told.metrics.looked(Look([a_job("a")], slots={"cpu": 8}, slots_at_work={"cpu": 6}))
    told.metrics.looked(Look([]))

    assert (told.value("slots", kind="cpu"), told.value("slots_at_work", kind="cpu")) == (8, 0)


def test_a_server_that_stepped_down_tells_of_no_jobs(told: Told) -> None:
    told.metrics.looked(Look([a_job("a")]))
    told.metrics.stepped_down()

    assert told.value("jobs", kind="train", state="queued") is None
    assert told.value("scheduler_last_look_timestamp_seconds") is None
