"""Faults of workers and servers, and how often a job is started again after them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import pytest
from support.fake_group import FakeGroup

from learnfleet.server.config import Config
from learnfleet.server.domain import Cause, Job, JobKind, JobState, Learner, Resources, RetryPolicy, ValidateWork
from learnfleet.server.scheduling.controller import JobController
from learnfleet.server.scheduling.pool import GroupPool
from learnfleet.server.scheduling.services import Services
from learnfleet.server.scheduling.stopped import interrupted
from learnfleet.server.store.sql import SqlStore
from learnfleet.server.workers.host_process import HostLost
from learnfleet.server.workers.protocol import (
    ErrorKind,
    Phase,
    RunError,
    RunRequest,
    WorkerDied,
    WorkerEvent,
    WorkerStatus,
)
from learnfleet.trainer.spec import DataSpec, LearnerSpec

NOW = datetime(2030, 1, 1, tzinfo=UTC)
DONE = {"stopped": False, "metrics": {}, "skipped_images": 0}


@dataclass
class FailingGroup(FakeGroup):
    """A group that fails in the way it is told to, or dies."""

    fault: RunError | None = None

    def poll(self, job_id: str, acknowledged: tuple[int, ...]) -> tuple[WorkerStatus, ...]:
        if self.fault is not None and self.fault.kind is ErrorKind.LOST:
            raise WorkerDied(self.fault.message)
        if self.fault is not None:
            return (WorkerStatus(Phase.FAILED, 1, acknowledged[0], (), error=self.fault),)
        return super().poll(job_id, acknowledged)


@dataclass
class HostlessGroup(FakeGroup):
    """A group whose job runs when the process that talks to Ray dies."""

    def poll(self, job_id: str, acknowledged: tuple[int, ...]) -> tuple[WorkerStatus, ...]:
        raise HostLost


@dataclass
class ScriptedPool:
    """Lends one group after the other."""

    groups: list[FakeGroup]
    used: list[FakeGroup] = field(default_factory=list)

    def obtain(self, learner_id: str) -> FakeGroup:
        self.used.append(self.groups.pop(0))
        return self.used[-1]

    def discard_workers(self, learner_id: str) -> None:
        self.used[-1].kill()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqlStore]:
    made = SqlStore(Config(tmp_path).store_url)
    yield made
    made.close()


def a_job(store: SqlStore, policy: RetryPolicy = RetryPolicy()) -> Job:  # noqa: B008
    learner = Learner("pets", LearnerSpec(DataSpec("/data"), "resnet18"), NOW, NOW)
    job = Job("one", "pets", JobKind.VALIDATE, ValidateWork(), Resources(1), JobState.QUEUED, "", NOW, NOW)
    return store.create_job(replace(job, retry_policy=policy), learner=learner, fingerprint="f")


def run(folder: Path, store: SqlStore, *groups: FakeGroup, hang_timeout_s: float = 60.0) -> tuple[Job, ScriptedPool]:
    """Run the job `one` on these groups, until its controller is done with it."""
    pool = ScriptedPool(list(groups))
    config = Config(folder, hang_timeout_s=hang_timeout_s)
    services = Services(
        config, store, cast(GroupPool, pool), lambda _: None, cluster_is_local=True, backoff_s=lambda _: 0.0
    )
    JobController(services, "one").run()
    return store.get_job("one"), pool


def failing(kind: ErrorKind, message: str = "it broke") -> FailingGroup:
    return FailingGroup(fault=RunError(kind, message))


def causes(store: SqlStore) -> list[tuple[str, str | None]]:
    events = [stored.event for stored in store.read_events("one", 0) if stored.event.kind == "state"]
    return [(event.data["state"], event.data.get("cause")) for event in events if event.data.get("cause")]


def test_a_job_whose_workers_die_is_started_again_on_new_ones(tmp_path: Path, store: SqlStore) -> None:
    a_job(store)
    job, pool = run(tmp_path, store, failing(ErrorKind.LOST), failing(ErrorKind.LOST), FakeGroup(outcome=DONE))
    assert (job.state, job.attempt, job.retries) == (JobState.SUCCEEDED, 3, {"worker_lost": 2})
    assert causes(store) == [("restarting", "worker_lost")] * 2
    assert [group.killed.is_set() for group in pool.used] == [True, True, False]


def test_a_ray_that_is_lost_counts_as_the_servers_fault_of_jobs_that_were_running(
    tmp_path: Path, store: SqlStore
) -> None:
    a_job(store, RetryPolicy(worker_lost=0))
    job, _ = run(tmp_path, store, HostlessGroup(), FakeGroup(outcome=DONE))
    assert (job.state, job.attempt, job.retries) == (JobState.SUCCEEDED, 2, {"server": 1})


def test_a_ray_that_is_lost_while_a_job_starts_hands_it_back_and_counts_nothing(
    tmp_path: Path, store: SqlStore
) -> None:
    def lost(request: RunRequest) -> None:
        raise HostLost

    a_job(store)
    job, _ = run(tmp_path, store, FakeGroup(on_start=lost))
    assert (job.state, job.attempt, job.retries) == (JobState.RESTARTING, 1, {})


def test_memory_that_runs_out_names_its_rank_and_the_last_reason_says_what_to_do(
    tmp_path: Path, store: SqlStore
) -> None:
    a_job(store)
    job, _ = run(tmp_path, store, *(failing(ErrorKind.OUT_OF_MEMORY, "MemoryError") for _ in range(2)))
    assert (job.state, job.cause) == (JobState.FAILED, Cause.OUT_OF_MEMORY)
    assert job.reason.startswith("out of memory on rank 0: MemoryError (2 of 2 attempts): use a smaller batch_size")


def test_budgets_outlive_the_server(tmp_path: Path, store: SqlStore) -> None:
    a_job(store, RetryPolicy(worker_lost=1))
    store.transition("one", JobState.STARTING, attempt=1)
    store.transition("one", JobState.RESTARTING, "", retries={"worker_lost": 1})
    job, _ = run(tmp_path, store, failing(ErrorKind.LOST))
    assert (job.state, job.cause) == (JobState.FAILED, Cause.WORKER_LOST)


def test_workers_that_count_nothing_are_a_hang_write_their_stacks_and_are_ended(
    tmp_path: Path, store: SqlStore
) -> None:
    a_job(store)
    job, pool = run(tmp_path, store, FakeGroup(), FakeGroup(outcome=DONE), hang_timeout_s=0.2)
    assert (job.state, job.retries) == (JobState.SUCCEEDED, {"hang": 1})
    assert pool.used[0].stacks_asked.is_set()
    assert pool.used[0].killed.is_set()


def a_checkpoint(step: int) -> WorkerEvent:
    return WorkerEvent(f"checkpoint/1/{step}/0", "checkpoint", {"step": step}, NOW.timestamp())


def interrupt(store: SqlStore, times: int) -> Job:
    """As a server does that finds a job which one that was killed has left running."""
    for _ in range(times):
        job = store.get_job("one")
        attempt = job.attempt + 1
        store.transition("one", JobState.STARTING, attempt=attempt)
        interrupted(store, store.transition("one", JobState.RUNNING))
    return store.get_job("one")


def test_a_job_that_brings_servers_down_fails_after_as_many_as_it_may(store: SqlStore) -> None:
    a_job(store)
    assert interrupt(store, 3).state is JobState.RESTARTING
    job = interrupt(store, 1)
    assert (job.state, job.cause) == (JobState.FAILED, Cause.SERVER)
    assert "4 of 4 attempts" in job.reason


def test_interruptions_before_a_new_checkpoint_are_forgotten(tmp_path: Path, store: SqlStore) -> None:
    a_job(store)
    assert interrupt(store, 3).retries == {"server": 3}
    job, _ = run(tmp_path, store, FakeGroup(outcome=DONE, events=[a_checkpoint(10)]))
    assert (job.state, job.retries) == (JobState.SUCCEEDED, {})


def test_a_stopped_server_is_no_fault(tmp_path: Path, store: SqlStore) -> None:
    a_job(store)
    job, _ = run(tmp_path, store, FakeGroup(outcome={"stopped": True}))
    assert (job.state, job.retries) == (JobState.RESTARTING, {})
