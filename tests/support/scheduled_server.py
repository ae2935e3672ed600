"""The real gRPC server, store and scheduler over a fake cluster, whose workers never finish unless they are told to."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import insert
from support.fake_cluster import FakeCluster, Fleet
from support.rpc_server import FakeRuntime, RunningServer, running_server

from learnfleet.server.domain import Job, JobKind, JobState, Learner, NewEvent, Resources, TrainWork, Wanted
from learnfleet.server.store import schema
from learnfleet.server.store.rows import event_row, job_row, learner_row
from learnfleet.trainer.spec import DataSpec, FitStage, LearnerSpec

_WORK = TrainWork((FitStage(1),))


@dataclass
class SchedulingRuntime(FakeRuntime):
    """Wakes a scheduler, as the server's own runtime does."""

    fleet: Fleet | None = None

    def job_queued(self, job: Job) -> None:
        assert self.fleet is not None
        self.fleet.scheduler.job_queued()

    async def ask(self, job_id: str, wanted: Wanted) -> Job:
        assert self.fleet is not None
        return self.fleet.scheduler.ask(job_id, wanted)


@dataclass(frozen=True)
class ScheduledServer:
    """A server and what schedules its jobs, which is not started."""

    rpc: RunningServer
    fleet: Fleet
    has_looked: threading.Event  # the scheduler, once, at all jobs

    def fill(self, jobs: int, tenants: int) -> None:
        """Put jobs into the store in one transaction, each on a learner of its own, the tenants' in turn."""
        now, learners, filled, events = datetime.now(UTC), [], [], []
        spec = LearnerSpec(DataSpec("/data"), "resnet18")
        for number in range(jobs):
            job_id, tenant = f"filled-{number}", f"tenant-{number % tenants}"
            learners.append(learner_row(Learner(job_id, spec, now, now, tenant=tenant)))
            job = Job(job_id, job_id, JobKind.TRAIN, _WORK, Resources(), JobState.QUEUED, "", now, now, tenant=tenant)
            filled.append(job_row(job, "f"))
            state = {"state": str(job.state), "reason": ""}
            events.append(event_row(job_id, 1, NewEvent("state/queued", "state", state, now, 0)))
        with self.fleet.store._writing("create_job") as connection:
            for table, rows in ((schema.learners, learners), (schema.jobs, filled), (schema.events, events)):
                if rows:
                    connection.execute(insert(table), rows)


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
