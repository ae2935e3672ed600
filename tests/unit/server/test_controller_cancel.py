"""How soon a cancelled job is over, whatever its workers do."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from threading import Thread
from typing import cast

import pytest
from support.fake_group import FakeGroup, FakePool

from learnfleet.server.config import Config
from learnfleet.server.domain import (
    Job,
    JobKind,
    JobState,
    Learner,
    PredsWork,
    Resources,
    TrainWork,
    ValidateWork,
    Work,
)
from learnfleet.server.scheduling.controller import JobController
from learnfleet.server.scheduling.pool import GroupPool
from learnfleet.server.scheduling.services import Services
from learnfleet.server.scheduling.stopping import Stop
from learnfleet.server.store.sql import SqlStore
from learnfleet.server.workers.journal import Journal, journal_path
from learnfleet.server.workers.protocol import RunRequest, WorkerEvent
from learnfleet.trainer import manifest
from learnfleet.trainer.spec import DataSpec, FitStage, LearnerSpec

SOON_S = 4.0  # two seconds, and what a busy machine adds
TIMEOUT_S = 30
NOW = datetime(2030, 1, 1, tzinfo=UTC)
KINDS: dict[JobKind, Work] = {
    JobKind.TRAIN: TrainWork((FitStage(2),)),
    JobKind.VALIDATE: ValidateWork(),
    JobKind.GET_PREDS: PredsWork(),
}


class RunningJob:
    """A job `one` of the learner `pets` whose controller runs in a thread."""

    def __init__(self, folder: Path, store: SqlStore, pool: FakePool, kind: JobKind = JobKind.TRAIN) -> None:
        self.store, self.pool = store, pool
        learner = Learner("pets", LearnerSpec(DataSpec("/data"), "resnet18"), NOW, NOW)
        job = Job("one", "pets", kind, KINDS[kind], Resources(1), JobState.QUEUED, "", NOW, NOW)
        store.create_job(job, learner=learner, fingerprint="f")
        services = Services(Config(folder), store, cast(GroupPool, pool), lambda _: None, cluster_is_local=True)
        self.controller = JobController(services, "one")
        self.thread = Thread(target=self.controller.run, daemon=True)
        self.thread.start()

    def cancel(self) -> float:
        """Seconds until it is over."""
        began_s = time.monotonic()
        self.controller.stops.ask(Stop.CANCEL)
        self.thread.join(TIMEOUT_S)
        assert not self.thread.is_alive()
        return time.monotonic() - began_s

    @property
    def state(self) -> JobState:
        return self.store.get_job("one").state


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqlStore]:
    made = SqlStore(Config(tmp_path).store_url)
    yield made
    made.close()


def test_a_job_whose_workers_find_no_room_is_cancelled_at_once_and_they_are_ended_when_they_come(
    tmp_path: Path, store: SqlStore
) -> None:
    pool = FakePool()
    job = RunningJob(tmp_path, store, pool)
    assert pool.asked.wait(TIMEOUT_S)
    assert job.cancel() < SOON_S
    assert job.state is JobState.CANCELLED
    pool.placed.set()
    assert pool.group.killed.wait(TIMEOUT_S)
    assert not pool.group.started.is_set()


@pytest.mark.parametrize("kind", KINDS)
def test_a_job_whose_workers_do_not_look_up_from_their_work_is_cancelled_soon(
    tmp_path: Path, store: SqlStore, kind: JobKind
) -> None:
    pool = FakePool()
    pool.placed.set()
    job = RunningJob(tmp_path, store, pool, kind)
    assert pool.group.started.wait(TIMEOUT_S)
    assert job.cancel() < SOON_S
    assert job.state is JobState.CANCELLED
    assert pool.group.stop_heard.is_set()
    assert pool.group.killed.is_set()


def test_a_job_whose_workers_do_not_answer_at_all_is_cancelled_soon(tmp_path: Path, store: SqlStore) -> None:
    pool = FakePool(FakeGroup(hangs_when_polled=True))
    pool.placed.set()
    job = RunningJob(tmp_path, store, pool)
    assert pool.group.started.wait(TIMEOUT_S)
    assert job.cancel() < SOON_S
    assert job.state is JobState.CANCELLED


def test_the_newest_whole_checkpoint_stays_of_a_job_whose_workers_had_to_be_ended(
    tmp_path: Path, store: SqlStore
) -> None:
    root = Config(tmp_path).checkpoint_root("pets")

    def save_twice(request: RunRequest) -> None:
        for step in (10, 20):
            folder = root / f"one-{step:010}-{request.attempt}"
            folder.mkdir(parents=True)
            (folder / manifest.MODEL_FILE).write_bytes(b"weights")
            (folder / manifest.STATE_FILE).write_text("{}")
            manifest.write_manifest(folder, job_id="one", attempt=request.attempt, step=step, epoch=1)
        (folder / manifest.MODEL_FILE).write_bytes(b"torn")

    pool = FakePool(FakeGroup(on_start=save_twice))
    pool.placed.set()
    job = RunningJob(tmp_path, store, pool)
    assert pool.group.started.wait(TIMEOUT_S)
    job.cancel()
    assert store.get_checkpoint("pets", "one").step == 10


def test_what_ended_workers_had_noted_but_not_told_is_the_jobs_and_nothing_twice(
    tmp_path: Path, store: SqlStore
) -> None:
    events = [WorkerEvent(f"batch/{number}", "batch", {"step": number}, 0.0) for number in range(5)]
    journal = Journal(journal_path(Config(tmp_path).job_dir("pets", "one"), 1, 0))
    for event in events:
        journal.append(event)
    pool = FakePool(FakeGroup(events=events[:3]))
    pool.placed.set()
    job = RunningJob(tmp_path, store, pool)
    assert pool.group.started.wait(TIMEOUT_S)
    job.cancel()
    told = [stored.event.id for stored in store.read_events("one", 0) if stored.event.kind == "batch"]
    assert told == [event.id for event in events]
    assert pool.group.acknowledged[-1] == (3,)


def test_workers_that_stop_in_time_stay_warm(tmp_path: Path, store: SqlStore) -> None:
    pool = FakePool(FakeGroup(heeds_stop=True))
    pool.placed.set()
    job = RunningJob(tmp_path, store, pool)
    assert pool.group.started.wait(TIMEOUT_S)
    assert job.cancel() < SOON_S
    assert job.state is JobState.CANCELLED
    assert not pool.group.killed.is_set()
