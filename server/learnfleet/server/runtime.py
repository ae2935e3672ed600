"""Everything behind the RPCs: cluster, scheduler, predictions, MLflow."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from threading import Thread

from learnfleet.server.config import Config
from learnfleet.server.domain import Job
from learnfleet.server.long_calls import LongCalls
from learnfleet.server.rpc.ports import PredictionResult, PredictOptions
from learnfleet.server.scheduling.pool import GroupPool
from learnfleet.server.scheduling.scheduler import Scheduler
from learnfleet.server.scheduling.services import Services
from learnfleet.server.store.base import Store
from learnfleet.server.tracking.exporter import MlflowExporter
from learnfleet.server.tracking.registry import ModelRegistry
from learnfleet.server.workers.cluster import RayCluster
from learnfleet.server.workers.predictor import PredictionPool

_CONCURRENT_PREDICTIONS = 8  # as many as the predicting process takes at a time
_CONCURRENT_RELEASES = 2


class ServerRuntime:
    """The `Runtime` of the control server. `start` returns at once; Ray and MLflow come up in threads."""

    def __init__(self, config: Config, store: Store, notify: Callable[[str], None]) -> None:
        self.cluster = RayCluster(config)
        self._exporter = MlflowExporter(config, store)
        self._pool = GroupPool(config, store, self.cluster)
        registry = ModelRegistry(config, store)

        def told(job_id: str) -> None:
            notify(job_id)
            self._exporter.wake(job_id)

        services = Services(config, store, self._pool, told, self.cluster.is_local)
        self._scheduler = Scheduler(services, self.cluster, registry)
        self._predictions = PredictionPool(config, store, self.cluster, registry)
        self._predicting = LongCalls("predict", _CONCURRENT_PREDICTIONS)
        self._releasing = LongCalls("release", _CONCURRENT_RELEASES)

    def start(self) -> None:
        Thread(target=self.cluster.supervise, name="ray-supervisor", daemon=True).start()
        self._scheduler.start()
        self._exporter.start()

    def stop(self) -> None:
        """Jobs save their state, MLflow is brought up to date, a local Ray ends. Blocks, for a bounded time."""
        self._scheduler.stop()
        self._exporter.stop()
        self.cluster.close()

    def job_queued(self, job: Job) -> None:
        self._scheduler.wake()

    async def cancel(self, job_id: str) -> Job:
        return await asyncio.to_thread(self._scheduler.cancel, job_id)

    def is_warm(self, learner_id: str) -> bool:
        return self._pool.is_warm(learner_id)

    async def release_workers(self, learner_id: str) -> None:
        await self._releasing.run(self._pool.give_up_if_idle, learner_id)

    async def predict(self, model: str, image: bytes, options: PredictOptions) -> PredictionResult:
        return await self._predicting.run(self._predictions.predict, model, image, options)
