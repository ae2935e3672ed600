"""A cluster without Ray, for tests of scheduling: its workers do as the test says."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError

from learnfleet.server.config import Config
from learnfleet.server.domain import (
    DEFAULT_TENANT,
    Group,
    Job,
    JobKind,
    JobState,
    Learner,
    Resources,
    ShowWork,
    TrainWork,
)
from learnfleet.server.errors import Unavailable
from learnfleet.server.rpc.ports import Capacity, Demand, Node
from learnfleet.server.scheduling.pool import GroupPool
from learnfleet.server.scheduling.scheduler import Scheduler
from learnfleet.server.scheduling.services import Services
from learnfleet.server.scheduling.situation import Kind
from learnfleet.server.store.sql import SqlStore
from learnfleet.server.workers.protocol import Phase, PlaceLost, RunRequest, WorkerDied, WorkerEvent, WorkerStatus
from learnfleet.trainer.spec import DataSpec, LearnerSpec

NOW = datetime(2030, 1, 1, tzinfo=UTC)
OUTCOME = {"stopped": False, "metrics": {}, "skipped_images": 0}
_TIMEOUT_S = 20


class FaultyStore(SqlStore):
    """A store whose disk is full while `is_full`."""

    is_full = False

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.refused = threading.Event()
        self.transactions = 0  # that write

    @contextmanager
    def _writing(self, what: str) -> Iterator[Connection]:
        if self.is_full:
            self.refused.set()
            raise OperationalError("INSERT", {}, Exception("database or disk is full"))
        self.transactions += 1
        with super()._writing(what) as connection:
            yield connection


@dataclass
class FakeGroup:
    """Workers that run until the cluster says that they are done, and then tell of one event."""

    cluster: FakeCluster
    group: Group
    requests: list[RunRequest] = field(default_factory=list)
    is_alive: bool = True
    is_lost: bool = False
    is_stopped: bool = False
    nodes: tuple[str, ...] = ()

    @property
    def generation(self) -> int:
        return self.group.generation

    @property
    def world_size(self) -> int:
        return self.group.resources.num_workers

    def start(self, request: RunRequest) -> None:
        self._must_live()
        self.is_stopped = False
        self.requests.append(request)
        self.cluster.started.set()

    def poll(self, job_id: str, acknowledged: tuple[int, ...]) -> tuple[WorkerStatus, ...]:
        self._must_live()
        if self.is_stopped:
            return self._all(WorkerStatus(Phase.DONE, 1, 0, (), {**OUTCOME, "stopped": True}))
        if not self.cluster.finishes.is_set() and job_id not in self.cluster.finished:
            return self._all(WorkerStatus(Phase.RUNNING, 1, 0, ()))
        event = WorkerEvent(f"end/{len(self.requests)}", "data", {}, NOW.timestamp())
        return self._all(WorkerStatus(Phase.DONE, 1, 0, (event,), OUTCOME))

    def stop(self, job_id: str) -> None:
        self.is_stopped = not self.cluster.ignores_stops

    def write_stacks(self, job_id: str) -> None:
        self._must_live()

    def kill(self) -> None:
        self.is_alive = False

    def _must_live(self) -> None:
        if not self.is_alive:
            raise WorkerDied("a worker process died")

    def _all(self, status: WorkerStatus) -> tuple[WorkerStatus, ...]:
        return (status,) * self.group.resources.num_workers


@dataclass
class FakeCluster:
    """Workers at once, as many as are asked for."""

    cpu_slots: int = 4
    gpu_slots: int = 0
    nodes: tuple[Node, ...] = ()  # empty: those slots are on one
    is_local: bool = True
    is_reachable: bool = True
    refuses: int = 0  # so many groups, as if Ray had just been lost
    groups: list[FakeGroup] = field(default_factory=list)
    started: threading.Event = field(default_factory=threading.Event)
    finishes: threading.Event = field(default_factory=threading.Event)  # every job
    finished: set[str] = field(default_factory=set)  # jobs, by id
    ignores_stops: bool = False  # in the middle of a batch that does not end
    boots: threading.Event = field(default_factory=threading.Event)  # workers come up
    asked: threading.Event = field(default_factory=threading.Event)  # for its size
    grows: bool = False
    is_let_go: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)
    demands: list[Demand] = field(default_factory=list)
    answers: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.answers.set()
        self.boots.set()

    def supervise(self) -> None: ...

    def close(self) -> None: ...

    def wait(self) -> None:
        if not self.is_reachable:
            raise Unavailable("Ray cannot be reached")

    def capacity(self) -> Capacity:
        self.wait()
        self.asked.set()
        self.answers.wait()
        if self.nodes:
            slots = [sum(kind.of(node) for node in self.nodes) for kind in Kind]
            return Capacity(slots[0], slots[1], self.grows, self.nodes)
        return Capacity(self.cpu_slots, self.gpu_slots, self.grows)

    def ask_for(self, demand: Demand) -> None:
        with self.lock:
            if not self.is_let_go:
                self.demands.append(demand)

    def let_nodes_go(self) -> None:
        with self.lock:
            self.is_let_go = True
            self.demands.append(Demand())

    def complete_export(self, folder: Path, *, onnx: bool) -> None:
        self.wait()

    def start_group(self, group: Group, nodes: Sequence[str] = ()) -> FakeGroup:
        self.wait()
        if self.refuses > 0:
            self.refuses -= 1
            raise Unavailable("Ray cannot be reached")
        self.boots.wait(_TIMEOUT_S)
        if self.nodes and not set(nodes) <= {node.id for node in self.nodes}:
            raise PlaceLost("a node is gone")
        self.groups.append(FakeGroup(self, group, nodes=tuple(nodes)))
        return self.groups[-1]

    def workers_of(self, learner_id: str) -> FakeGroup:
        """The living ones."""
        return next(made for made in self.groups if made.group.learner_id == learner_id and made.is_alive)


@dataclass
class Fleet:
    """A scheduler over a real store and a fake cluster."""

    folder: Path
    cluster: FakeCluster = field(default_factory=FakeCluster)
    settings: Mapping[str, Any] = field(default_factory=dict)  # of the Config

    def __post_init__(self) -> None:
        config = Config(self.folder, **self.settings)
        self.store = FaultyStore(config.store_url)
        self.told = threading.Condition()
        self.pool = GroupPool(config, self.store, self.cluster)  # type: ignore[arg-type]
        services = Services(config, self.store, self.pool, self._notify, self.cluster.is_local, backoff_s=lambda _: 0.0)
        self.scheduler = Scheduler(services, self.cluster, None, idle_check_s=0.05)  # type: ignore[arg-type]

    def _notify(self, job_id: str) -> None:
        with self.told:
            self.told.notify_all()

    def queue(
        self,
        job_id: str,
        learner_id: str = "",
        resources: Resources = Resources(),  # noqa: B008
        at: datetime = NOW,
        deadline: datetime | None = None,
        request_id: str | None = None,
        work: ShowWork | TrainWork = ShowWork(),  # noqa: B008
        priority: int = 0,
        tenant: str = DEFAULT_TENANT,
    ) -> Job:
        """A job that draws pictures where it has no other work, on a learner of its own where none is named."""
        learner = None if learner_id else Learner(job_id, LearnerSpec(DataSpec("/data"), "resnet18"), NOW, NOW)
        job = Job(
            job_id,
            learner_id or job_id,
            JobKind.TRAIN if isinstance(work, TrainWork) else JobKind.SHOW,
            work,
            resources,
            JobState.QUEUED,
            "",
            at,
            at,
            deadline=deadline,
            request_id=request_id,
            priority=priority,
            tenant=tenant,
        )
        stored = self.store.create_job(job, learner=learner, fingerprint="f")
        self.scheduler.wake()
        return stored

    def leave_running(self, job: Job) -> Job:
        """As a server leaves a job that is killed while it runs it."""
        self.store.transition(job.id, JobState.STARTING, attempt=1)
        return self.store.transition(job.id, JobState.RUNNING)

    def until(self, holds: Callable[[], bool]) -> None:
        """Wait for what the scheduler's threads bring about."""
        with self.told:
            for _ in range(100 * _TIMEOUT_S):
                if holds():
                    return
                self.told.wait(0.01)
        raise AssertionError("it did not come about")

    def until_state(self, job_id: str, state: JobState) -> Job:
        self.until(lambda: self.store.get_job(job_id).state is state)
        return self.store.get_job(job_id)

    def until_controller_ends(self, job_id: str) -> None:
        for thread in threading.enumerate():
            if thread.name == f"job-{job_id}":
                thread.join(_TIMEOUT_S)
                assert not thread.is_alive()

    def close(self) -> None:
        self.scheduler.stop()
        self.store.close()
