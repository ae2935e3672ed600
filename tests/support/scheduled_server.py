"""The real gRPC server, store and scheduler over a fake cluster, whose workers never finish unless they are told to."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from support.fake_cluster import FakeCluster, Fleet
from support.rpc_server import FakeRuntime, RunningServer, running_server

from learnfleet.server.domain import Job, JobKind, JobState, Learner, Resources, ShowWork
from learnfleet.trainer.spec import DataSpec, LearnerSpec


@dataclass
class SchedulingRuntime(FakeRuntime):
    """Wakes a scheduler, as the server's own runtime does."""

    fleet: Fleet | None = None

    def job_queued(self, job: Job) -> None:
        assert self.fleet is not None
        self.fleet.scheduler.wake()

    async def cancel(self, job_id: str) -> Job:
        assert self.fleet is not None
        return self.fleet.scheduler.cancel(job_id)


@dataclass(frozen=True)
class ScheduledServer:
    """A server and what schedules its jobs, which is not started."""

    rpc: RunningServer
    fleet: Fleet
    has_looked: threading.Event  # the scheduler, once, at all jobs

    def fill(self, jobs: int, tenants: int) -> None:
        """Put jobs into the store at once, each on a learner of its own, the tenants' in turn."""
        now = datetime.now(UTC)
        for number in range(jobs):
            job_id, tenant = f"filled-{number}", f"tenant-{number % tenants}"
            spec = LearnerSpec(DataSpec("/data"), "resnet18")
            learner = Learner(job_id, spec, now, now, tenant=tenant)
            work, state = ShowWork(), JobState.QUEUED
            job = Job(job_id, job_id, JobKind.SHOW, work, Resources(), state, "", now, now, tenant=tenant)
            self.fleet.store.create_job(job, learner=learner, fingerprint="f")


@contextlib.contextmanager
def scheduled_server(folder: Path, root: Path, cluster: FakeCluster | None = None) -> Iterator[ScheduledServer]:
    """A server on a free port. `fleet.scheduler.start()` starts scheduling."""
    (folder / "data").mkdir(parents=True, exist_ok=True)
    fleet = Fleet(folder / "data", cluster or FakeCluster())
    has_looked = threading.Event()
    look = fleet.scheduler._tick

    def tick() -> None:
        look()
        has_looked.set()

    fleet.scheduler._tick = tick  # type: ignore[method-assign]
    runtime = SchedulingRuntime(fleet.store, fleet=fleet)
    with running_server(folder, root, store=fleet.store, runtime=runtime) as rpc:
        yield ScheduledServer(rpc, fleet, has_looked)
        fleet.scheduler.stop()
