"""Pausing, resuming, cancelling and deadlines, over a real store and a fake cluster."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from support.fake_cluster import NOW, Fleet

from learnfleet.server.config import Config
from learnfleet.server.domain import (
    Cause,
    Checkpoint,
    ExportWork,
    Job,
    JobBrief,
    JobKind,
    JobState,
    Learner,
    Resources,
    TrainWork,
    Wanted,
)
from learnfleet.server.errors import FailedPrecondition
from learnfleet.server.scheduling.wishes import Deadlines
from learnfleet.server.store.sql import SqlStore
from learnfleet.trainer.spec import DataSpec, FitStage, LearnerSpec

TIMEOUT_S = 20


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    made = Fleet(tmp_path)
    yield made
    made.cluster.boots.set()
    made.close()


def states_of(fleet: Fleet, job_id: str) -> list[str]:
    events = fleet.store.read_events(job_id, 0)
    return [stored.event.data["state"] for stored in events if stored.event.kind == "state"]


def test_a_queued_job_is_paused_at_once_and_runs_when_it_is_resumed(fleet: Fleet) -> None:
    fleet.cluster.cpu_slots = 0
    fleet.queue("one")
    fleet.scheduler.start()
    assert fleet.scheduler.ask("one", Wanted.PAUSE).state is JobState.PAUSED
    fleet.cluster.cpu_slots = 1
    assert fleet.scheduler.ask("one", Wanted.RUN).state is JobState.QUEUED
    fleet.until_state("one", JobState.RUNNING)


def test_a_running_job_stops_by_way_of_pausing_and_its_workers_stay_warm(fleet: Fleet) -> None:
    fleet.queue("one")
    fleet.scheduler.start()
    fleet.until_state("one", JobState.RUNNING)
    fleet.scheduler.ask("one", Wanted.PAUSE)
    assert "starts it anew" in fleet.until_state("one", JobState.PAUSED).reason
    assert states_of(fleet, "one")[-2:] == ["pausing", "paused"]
    fleet.until_controller_ends("one")
    assert fleet.pool.is_warm("one")
    fleet.scheduler.ask("one", Wanted.RUN)
    fleet.until_state("one", JobState.RUNNING)
    assert len(fleet.cluster.groups) == 1
    fleet.cluster.finishes.set()
    assert fleet.until_state("one", JobState.SUCCEEDED).attempt == 2


def test_a_paused_jobs_workers_are_given_up_for_others(fleet: Fleet) -> None:
    fleet.cluster.cpu_slots = 1
    fleet.queue("one")
    fleet.scheduler.start()
    fleet.until_state("one", JobState.RUNNING)
    fleet.scheduler.ask("one", Wanted.PAUSE)
    fleet.until_state("one", JobState.PAUSED)
    fleet.queue("two")
    fleet.until_state("two", JobState.RUNNING)
    assert not fleet.cluster.groups[0].is_alive


def test_a_job_whose_workers_come_up_is_paused_at_once(fleet: Fleet) -> None:
    fleet.cluster.boots.clear()
    fleet.queue("one")
    fleet.scheduler.start()
    fleet.until_state("one", JobState.STARTING)
    fleet.scheduler.ask("one", Wanted.PAUSE)
    fleet.until_state("one", JobState.PAUSED)
    fleet.cluster.boots.set()
    fleet.until(lambda: bool(fleet.cluster.groups) and not fleet.cluster.groups[0].is_alive)


def test_a_job_that_does_not_get_to_its_next_batch_can_be_cancelled_while_it_pauses(fleet: Fleet) -> None:
    fleet.cluster.ignores_stops = True
    fleet.queue("one")
    fleet.scheduler.start()
    fleet.until_state("one", JobState.RUNNING)
    fleet.scheduler.ask("one", Wanted.PAUSE)
    fleet.until_state("one", JobState.PAUSING)
    fleet.scheduler.ask("one", Wanted.CANCEL)
    assert fleet.until_state("one", JobState.CANCELLED).reason == "cancelled by request"


def test_a_job_that_is_resumed_while_it_pauses_goes_on(fleet: Fleet) -> None:
    fleet.cluster.ignores_stops = True
    fleet.queue("one")
    fleet.scheduler.start()
    fleet.until_state("one", JobState.RUNNING)
    fleet.scheduler.ask("one", Wanted.PAUSE)
    fleet.until_state("one", JobState.PAUSING)
    fleet.scheduler.ask("one", Wanted.RUN)
    fleet.cluster.ignores_stops = False
    fleet.cluster.workers_of("one").is_stopped = True
    fleet.until_state("one", JobState.RUNNING)
    assert fleet.store.get_job("one").attempt == 2


def test_workers_that_die_while_a_job_pauses_leave_it_paused_and_use_up_no_retry(fleet: Fleet) -> None:
    fleet.cluster.ignores_stops = True
    fleet.queue("one")
    fleet.scheduler.start()
    fleet.until_state("one", JobState.RUNNING)
    fleet.scheduler.ask("one", Wanted.PAUSE)
    fleet.until_state("one", JobState.PAUSING)
    fleet.cluster.workers_of("one").is_alive = False
    assert dict(fleet.until_state("one", JobState.PAUSED).retries) == {}


def test_a_paused_job_is_cancelled_at_once_and_then_nothing_else_is_to_be_had(fleet: Fleet) -> None:
    fleet.queue("one")
    fleet.scheduler.start()
    fleet.until_state("one", JobState.RUNNING)
    fleet.scheduler.ask("one", Wanted.PAUSE)
    fleet.until_state("one", JobState.PAUSED)
    assert fleet.scheduler.ask("one", Wanted.CANCEL).state is JobState.CANCELLED
    for wanted in Wanted:
        with pytest.raises(FailedPrecondition):
            fleet.scheduler.ask("one", wanted)


def test_what_another_server_was_asked_for_is_done_by_the_one_that_schedules(fleet: Fleet, tmp_path: Path) -> None:
    other = SqlStore(Config(tmp_path).store_url)
    fleet.queue("one")
    fleet.scheduler.start()
    fleet.until_state("one", JobState.RUNNING)
    other.set_wanted("one", Wanted.PAUSE)
    fleet.until_state("one", JobState.PAUSED)
    other.set_wanted("one", Wanted.RUN)
    fleet.until_state("one", JobState.RUNNING)
    other.set_wanted("one", Wanted.CANCEL)
    fleet.until_state("one", JobState.CANCELLED)
    other.close()


def test_a_wish_outlives_the_server_that_it_was_told(tmp_path: Path) -> None:
    before = Fleet(tmp_path)
    for job_id in ("paused", "cancelled", "running"):
        before.leave_running(before.queue(job_id))
    before.scheduler.ask("paused", Wanted.PAUSE)  # of a server that dies before it has done it
    before.scheduler.ask("cancelled", Wanted.CANCEL)
    before.store.close()
    after = Fleet(tmp_path)
    after.scheduler.start()
    after.until_state("paused", JobState.PAUSED)
    after.until_state("cancelled", JobState.CANCELLED)
    after.until(lambda: after.store.get_job("running").attempt == 2)
    running = after.store.get_job("running")
    assert (running.cause, running.retries) == (Cause.SERVER, {"server": 1})
    after.close()


def test_a_paused_job_stays_so_when_the_server_is_started_again(tmp_path: Path) -> None:
    before = Fleet(tmp_path)
    before.queue("one")
    before.scheduler.ask("one", Wanted.PAUSE)
    before.scheduler.start()
    before.until_state("one", JobState.PAUSED)
    before.close()
    after = Fleet(tmp_path)
    after.scheduler.start()
    after.queue("two")
    after.until_state("two", JobState.RUNNING)
    assert after.store.get_job("one").state is JobState.PAUSED
    after.close()


def test_what_trains_a_learner_waits_for_training_that_is_paused_halfway_and_other_jobs_do_not(fleet: Fleet) -> None:
    work = TrainWork((FitStage(1),))
    fleet.queue("first", work=work)
    fleet.scheduler.start()
    fleet.until_state("first", JobState.RUNNING)
    fleet.scheduler.ask("first", Wanted.PAUSE)
    fleet.until_state("first", JobState.PAUSED)
    fleet.queue("shown", "first")
    fleet.until_state("shown", JobState.RUNNING)
    fleet.cluster.finished.add("shown")
    fleet.until_state("shown", JobState.SUCCEEDED)
    fleet.queue("second", "first", work=work)
    fleet.until(lambda: "paused" in fleet.store.get_job("second").reason)
    fleet.scheduler.ask("first", Wanted.CANCEL)
    fleet.until_state("second", JobState.RUNNING)


# -- deadlines


def test_jobs_end_at_their_deadline_whether_they_run_wait_or_are_paused(fleet: Fleet) -> None:
    passed_s = [0.0]
    fleet.scheduler.deadlines.clock_s = lambda: passed_s[0]
    fleet.cluster.cpu_slots = 1
    jobs = ("running", "queued", "paused")
    for job_id in jobs:
        fleet.queue(job_id, deadline=datetime.now(UTC) + timedelta(hours=1))
    fleet.scheduler.start()
    fleet.scheduler.ask("paused", Wanted.PAUSE)
    fleet.until_state("running", JobState.RUNNING)
    passed_s[0] = 3700.0
    for job_id in jobs:
        failed = fleet.until_state(job_id, JobState.FAILED)
        assert failed.cause is Cause.DEADLINE
        assert "was not over by" in failed.reason


def test_a_clock_that_jumps_neither_ends_a_job_nor_spares_it() -> None:
    wall, mono = [NOW], [100.0]
    deadlines = Deadlines(lambda: wall[0], lambda: mono[0])
    job = JobBrief(
        "one", "one", JobKind.SHOW, Resources(), JobState.RUNNING, "", NOW, deadline=NOW + timedelta(minutes=1)
    )
    assert deadlines.passed([job]) == []
    wall[0] += timedelta(days=365)
    assert deadlines.passed([job]) == []
    assert deadlines.next_in_s() == 60
    wall[0] -= timedelta(days=730)
    mono[0] += 60
    assert deadlines.passed([job]) == [job]
    assert deadlines.passed([]) == []
    assert deadlines.next_in_s() is None


# -- exports


class StuckRegistry:
    """An MLflow that does not answer until it is let."""

    def __init__(self) -> None:
        self.asked, self.answers = threading.Event(), threading.Event()
        self.removed = threading.Event()

    def expect(self) -> None:
        pass

    def register(self, job: Job, export: Path, work: ExportWork) -> str:
        self.asked.set()
        self.answers.wait(TIMEOUT_S)
        return "1"

    def remove(self, model_id: str, version: str) -> None:
        self.removed.set()


@pytest.fixture
def export(fleet: Fleet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StuckRegistry]:
    """An EXPORT job `one` that waits for its registry."""
    registry = StuckRegistry()
    fleet.scheduler.registry = registry  # type: ignore[assignment]
    for name in ("make_export", "facts_of"):
        monkeypatch.setattr(f"learnfleet.server.scheduling.export.{name}", lambda *_: None)
    learner = Learner("one", LearnerSpec(DataSpec("/data"), "resnet18"), NOW, NOW, checkpoint_id="c")
    job = Job("one", "one", JobKind.EXPORT, ExportWork("m", ()), Resources(), JobState.QUEUED, "", NOW, NOW)
    fleet.store.create_job(job, learner=learner, fingerprint="f")
    fleet.store.put_checkpoint(Checkpoint("one", "c", str(tmp_path), 1, 1, "a", "b", 1, NOW))
    fleet.scheduler.start()
    assert registry.asked.wait(TIMEOUT_S)
    yield registry
    registry.answers.set()


def test_an_export_is_cancelled_while_mlflow_does_not_answer_and_what_it_takes_is_taken_back(
    fleet: Fleet, export: StuckRegistry
) -> None:
    fleet.scheduler.ask("one", Wanted.CANCEL)
    fleet.until_state("one", JobState.CANCELLED)
    export.answers.set()
    assert export.removed.wait(TIMEOUT_S)


def test_an_export_can_be_paused_and_resumed(fleet: Fleet, export: StuckRegistry) -> None:
    fleet.scheduler.ask("one", Wanted.PAUSE)
    fleet.until_state("one", JobState.PAUSED)
    export.answers.set()
    fleet.scheduler.ask("one", Wanted.RUN)
    assert fleet.until_state("one", JobState.SUCCEEDED).result["model_version"] == "models/m/versions/1"
    assert not export.removed.is_set()
