"""What exactly one of the servers on a store does: schedule and run jobs, and tell MLflow of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from threading import Event, Thread
from typing import Protocol

from learnfleet.server.config import Config
from learnfleet.server.draining import DrainTimes
from learnfleet.server.scheduling.pool import GroupPool
from learnfleet.server.scheduling.scheduler import Scheduler
from learnfleet.server.scheduling.services import Services
from learnfleet.server.store.base import Store
from learnfleet.server.store.lease import Lease
from learnfleet.server.telemetry.metrics import Metrics
from learnfleet.server.telemetry.server_metrics import Behind
from learnfleet.server.tracking.exporter import MlflowExporter
from learnfleet.server.tracking.registry import ModelNews, ModelRegistry, NoNews
from learnfleet.server.workers.cluster import RayCluster


class Exporter(Protocol):
    """Tells somebody of what happens to jobs (tracking/exporter.py)."""

    def start(self) -> None: ...

    def wake(self, job_id: str) -> None: ...

    def stop(self, timeout_s: float) -> None: ...

    def abandon(self) -> None: ...

    def behind(self) -> Mapping[str, Behind]: ...


@dataclass(frozen=True)
class Office:
    """Those who do it, for one term."""

    pool: GroupPool
    scheduler: Scheduler
    exporter: Exporter


class Duties:
    """Takes them up and lays them down; a `Candidate` (leadership.py) where they go from server to server."""

    def __init__(
        self,
        config: Config,
        store: Store,
        cluster: RayCluster,
        notify: Callable[[str], None],
        exporter: Callable[[Config, Store], Exporter] = MlflowExporter,
        news: ModelNews = NoNews(),  # noqa: B008  # has no state
        metrics: Metrics | None = None,
    ) -> None:
        self._config, self._store, self._cluster, self._notify = config, store, cluster, notify
        self._exporter, self._news = exporter, news
        self._metrics = metrics or Metrics()
        self._last_term = 0
        self._left: GroupPool | None = None  # workers of a term that was lost, and that nobody else has seen to
        self.office: Office | None = None  # None: another server does it

    def begin(self, store: Store) -> None:
        """Take them up; what is done goes to `store`. Returns at once."""
        left, self._left = self._left, None
        pool = GroupPool(self._config, store, self._cluster) if left is None else left.handed_on(store)
        exporter = self._exporter(self._config, store)

        def told(job_id: str) -> None:
            self._notify(job_id)
            exporter.wake(job_id)

        services = Services(self._config, store, pool, told, self._cluster.is_local, Event(), metrics=self._metrics)
        scheduler = Scheduler(services, self._cluster, ModelRegistry(self._config, store, self._news))
        self.office = Office(pool, scheduler, exporter)
        scheduler.start()
        exporter.start()

    def finish(self) -> None:
        """Jobs save their state, and MLflow is brought up to date. Blocks, for a bounded time."""
        office, self.office = self.office, None
        if office is not None:
            office.scheduler.stop()
            office.exporter.stop(DrainTimes(self._config.drain_s).tracking_s)

    # -- Candidate

    def lead(self, lease: Lease) -> None:
        if lease.term != self._last_term + 1:
            self.overtaken()
        self._last_term = lease.term
        self.begin(self._store.fenced(lease))

    def step_down(self) -> None:
        office, self.office = self.office, None
        if office is not None:
            office.exporter.abandon()
            office.scheduler.abandon()
            self._left = office.pool

    def overtaken(self) -> None:
        left, self._left = self._left, None
        if left is not None and self._cluster.is_local:  # those of another Ray are the new scheduler's to take over
            Thread(target=left.abandon, name="end-workers", daemon=True).start()
