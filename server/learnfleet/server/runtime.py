"""Everything behind the RPCs: cluster, scheduler, predictions, MLflow. And which of several servers schedules."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from threading import Thread

from learnfleet.server.config import Config
from learnfleet.server.domain import Job, JobBrief, Wanted
from learnfleet.server.duties import Duties, Exporter
from learnfleet.server.errors import Deposed, StoreUnavailable
from learnfleet.server.inference.build import build_engine, build_newcomers, build_references
from learnfleet.server.installed import installed_version
from learnfleet.server.leadership import Leadership
from learnfleet.server.long_calls import LongCalls
from learnfleet.server.rpc.ports import ExplainOptions, Explanation, FoundModel, Placed
from learnfleet.server.scheduling.preview import preview_from_store
from learnfleet.server.store.base import Store
from learnfleet.server.store.lease import SCHEDULER
from learnfleet.server.store.notices import Listener, Notice, Topic
from learnfleet.server.telemetry.server_metrics import Figures
from learnfleet.server.telemetry.telemetry import Telemetry
from learnfleet.server.tracking.exporter import MlflowExporter
from learnfleet.server.workers.cluster import RayCluster
from learnfleet.server.workers.explainer import ExplanationPool

_CONCURRENT_EXPLANATIONS = 4  # they wait for one process: see ExplanationPool
_CONCURRENT_FINDS = 2  # each may download an export
_CONCURRENT_RELEASES = 2
_CONCURRENT_PREVIEWS = 2


class ServerRuntime:
    """The `Runtime` of the control server. `start` returns at once; Ray and MLflow come up in threads.

    On a store that servers share (PostgreSQL) one of them schedules, and the others write to the store what is asked
    of a job: it is carried out by the one that does.
    """

    def __init__(
        self,
        config: Config,
        store: Store,
        notify: Callable[[str], None],
        cluster: RayCluster | None = None,
        exporter: Callable[[Config, Store], Exporter] = MlflowExporter,
        telemetry: Telemetry | None = None,
    ) -> None:
        telemetry = telemetry or Telemetry()
        self._config, self._store, self._notify = config, store, notify
        self.cluster = cluster or RayCluster(config)
        references = build_references(config, store)
        self.inference = build_engine(config, references, self.cluster, telemetry)
        self.news = build_newcomers(config, references, self.inference)
        self._duties = Duties(config, store, self.cluster, notify, exporter, self.news, telemetry.metrics)
        self._leadership: Leadership | None = None
        self._listener: Listener | None = None
        self._explanations = ExplanationPool(store, self.cluster, references.resolve)
        self._finding = LongCalls("find-model", _CONCURRENT_FINDS)
        self._explaining = LongCalls("explain", _CONCURRENT_EXPLANATIONS)
        self._releasing = LongCalls("release", _CONCURRENT_RELEASES)
        self._previewing = LongCalls("preview", _CONCURRENT_PREVIEWS)

    def start(self) -> None:
        Thread(target=self.cluster.supervise, name="ray-supervisor", daemon=True).start()
        if not self._store.is_shared:
            self._duties.begin(self._store)
            return
        self._listener = Listener(self._config.store_url, self._config.server_id, self._heard, self._wake)
        self._leadership = Leadership(self._store, self._duties, self._config.server_id, self._config.lease_s)
        self._listener.start()
        self._leadership.start()

    def stop(self) -> None:
        """`lay_down`, then `leave`."""
        self.lay_down()
        self.leave()

    def lay_down(self) -> None:
        """Jobs save their state, MLflow is brought up to date, others may schedule. Blocks, for a bounded time."""
        if self._leadership is not None:
            self._leadership.stop()
        else:
            self._duties.finish()

    def leave(self) -> None:
        """A local Ray ends. After `lay_down`. Blocks, for a bounded time."""
        if self._listener is not None:
            self._listener.stop()
        self.cluster.close()

    def figures(self) -> Figures:
        """How it stands, for the metrics. From any thread; may block while the database does not answer."""
        office = self._duties.office
        return Figures(
            installed_version(),
            office is not None,
            self.cluster.is_connected,
            self._has_store(),
            office.exporter.behind() if office is not None else {},
            self._config.data_dir,
        )

    def _has_store(self) -> bool:
        try:
            self._store.get_lease(SCHEDULER)
        except StoreUnavailable:
            return False
        return True

    # -- what other servers say

    def _heard(self, notice: Notice) -> None:
        office = self._duties.office
        if notice.topic is Topic.EVENTS:
            self._notify(notice.subject)
            if office is not None:
                office.exporter.wake(notice.subject)
        elif notice.topic is Topic.QUEUED and office is not None:
            office.scheduler.job_queued()
        elif notice.topic is Topic.WANTED:
            self._wake()
        elif notice.topic is Topic.RELEASE and office is not None:
            Thread(target=office.pool.give_up_if_idle, args=(notice.subject,), name="release", daemon=True).start()

    def _wake(self) -> None:
        office = self._duties.office
        if office is not None:
            office.scheduler.wake()

    # -- Runtime

    def job_queued(self, job: Job) -> None:
        office = self._duties.office
        if office is not None:  # of another server the store has told
            office.scheduler.job_queued()

    async def preview(self, job: Job) -> Placed:
        return await self._previewing.run(self._preview, job.brief())

    def _preview(self, job: JobBrief) -> Placed:
        office = self._duties.office
        if office is not None:
            verdict = office.scheduler.preview(job)
        else:
            verdict = preview_from_store(self._config, self._store, self.cluster.capacity(), job)
        return Placed(verdict.nodes, verdict.gives_up, verdict.preempts, verdict.waits_for)

    async def ask(self, job_id: str, wanted: Wanted) -> Job:
        return await asyncio.to_thread(self._ask, job_id, wanted)

    def _ask(self, job_id: str, wanted: Wanted) -> Job:
        office = self._duties.office
        if office is not None:
            with contextlib.suppress(Deposed):
                return office.scheduler.ask(job_id, wanted)
        return self._store.set_wanted(job_id, wanted)

    async def is_warm(self, learner_id: str) -> bool:
        office = self._duties.office
        if office is not None:
            return office.pool.is_warm(learner_id)
        groups = await asyncio.to_thread(self._store.list_groups)
        return any(group.learner_id == learner_id for group in groups)

    async def release_workers(self, learner_id: str) -> None:
        office = self._duties.office
        if office is not None:
            await self._releasing.run(office.pool.give_up_if_idle, learner_id)
        else:
            await asyncio.to_thread(self._store.tell, Topic.RELEASE, learner_id)

    async def find_model(self, model: str) -> FoundModel:
        return await self._finding.run(self._explanations.find, model)

    async def explain(self, model: str, image: bytes, options: ExplainOptions) -> Explanation:
        return await self._explaining.run(self._explanations.explain, model, image, options)
