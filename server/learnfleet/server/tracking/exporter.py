"""MLflow as a consumer of the event log: it may be away for an hour, and later has every point once."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from learnfleet.server.config import Config
from learnfleet.server.store.base import Store
from learnfleet.server.telemetry.server_metrics import Behind
from learnfleet.server.tracking.checkpoint_mirror import CONSUMER as CHECKPOINT_CONSUMER
from learnfleet.server.tracking.checkpoint_mirror import CheckpointMirror
from learnfleet.server.tracking.consumer import Consumer
from learnfleet.server.tracking.job_export import CONSUMER, JobExport
from learnfleet.server.tracking.mlflow_client import Connect, mlflow_client
from learnfleet.server.tracking.retrying import retrying
from learnfleet.server.tracking.runs import Runs


class MlflowExporter:
    """Brings MLflow up to date in two threads of its own: points do not wait for large files, and nothing waits for it.

    One server exports at a time: `start` when it begins to lead, `abandon` when it no longer does. What a
    stopped exporter still had in hand may be sent twice, and is in MLflow once.
    """

    def __init__(
        self,
        config: Config,
        store: Store,
        connect: Connect = mlflow_client,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        def ask() -> None:
            connect(config).search_experiments(max_results=1)

        patient = retrying(connect)
        self._mirror = CheckpointMirror(config, store, patient, clock_s)
        # Told by the other one of all that it is for, and asking the store would name every job that waits.
        self._checkpoints = Consumer(
            CHECKPOINT_CONSUMER, store, self._mirror.export, ask, clock_s, self._mirror.forget, math.inf
        )
        self._jobs = JobExport(config, store, Runs(config, store, patient), patient, self._checkpoints.wake)
        self._log = Consumer(CONSUMER, store, self._jobs.export, ask, clock_s, self._jobs.forget)

    def start(self) -> None:
        """Begin, or begin again after a stop: from what the store says is exported."""
        self._log.start()
        self._checkpoints.start()

    def wake(self, job_id: str) -> None:
        """The job may have new events. From any thread."""
        self._log.wake(job_id)

    def behind(self) -> dict[str, Behind]:
        """How far each consumer is behind, by its name. From any thread."""
        return {each.name: each.behind() for each in (self._log, self._checkpoints)}

    def stop(self, timeout_s: float = 30.0, *, drain: bool = True) -> None:
        """Export what there is, at most for a while; the rest is exported when a server starts again."""
        by_s = time.monotonic() + timeout_s
        self._log.stop(timeout_s, drain=drain)
        self._checkpoints.stop(max(by_s - time.monotonic(), 0.0), drain=drain)

    def abandon(self) -> None:
        """Another server exports now: send nothing more. Does not wait."""
        self.stop(0.0, drain=False)

    def step(self, *, is_last: bool = False) -> float:
        """What the threads do, once; the seconds until there is more to do. For whoever has no threads."""
        return min(self._log.step(is_last=is_last), self._checkpoints.step(is_last=is_last))
