"""A control server without RPCs and MLflow, on fake workers and a store that can be cut off from it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from sqlalchemy import Connection
from support.fake_cluster import NOW, FakeCluster

from learnfleet.server.config import Config
from learnfleet.server.domain import Job, JobKind, JobState, Learner, Resources, ShowWork
from learnfleet.server.errors import StoreUnavailable
from learnfleet.server.runtime import ServerRuntime
from learnfleet.server.store.base import Store
from learnfleet.server.store.lease import SCHEDULER, Lease
from learnfleet.server.store.sql import SqlStore
from learnfleet.trainer.spec import DataSpec, LearnerSpec

LEASE_S = 0.8
TIMEOUT_S = 30


class CutOffStore(SqlStore):
    """A store that cannot be reached while `is_away` is set, nor can those that were made of it."""

    is_away: threading.Event
    is_asleep: threading.Event  # the lease is not renewed, as if only that thread were held up
    is_fenced = True  # False: a fault planted to see that its consequences are found

    def renew_lease(self, lease: Lease) -> bool:
        return self.is_asleep.is_set() or super().renew_lease(lease)

    def fenced(self, lease: Lease) -> Self:
        return super().fenced(lease) if self.is_fenced else self

    @contextmanager
    def _writing(self, what: str) -> Iterator[Connection]:
        self._must_reach()
        with super()._writing(what) as connection:
            yield connection

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        self._must_reach()
        with super()._reading() as connection:
            yield connection

    def _must_reach(self) -> None:
        if self.is_away.is_set():
            raise StoreUnavailable("cut off")


class QuietExporter:
    """Tells nobody."""

    def __init__(self, config: Config, store: Store) -> None: ...

    def start(self) -> None: ...

    def wake(self, job_id: str) -> None: ...

    def stop(self, timeout_s: float) -> None: ...

    def abandon(self) -> None: ...


class QuietServer:
    """A server without RPCs."""

    def __init__(self, name: str, folder: Path, url: str) -> None:
        self.name, self.cluster, self.told = name, FakeCluster(), threading.Condition()
        config = Config(folder, store=url, server_id=name, lease_s=LEASE_S)
        self.store = CutOffStore(url, server_id=name)
        self.store.is_away, self.store.is_asleep = threading.Event(), threading.Event()
        self.heard: list[str] = []
        self.runtime = ServerRuntime(config, self.store, self.heard.append, self.cluster, QuietExporter)  # type: ignore[arg-type]
        self.runtime.start()

    def queue(self, job_id: str, request_id: str | None = None) -> Job:
        learner = Learner(job_id, LearnerSpec(DataSpec("/data"), "resnet18"), NOW, NOW)
        job = Job(
            job_id, job_id, JobKind.SHOW, ShowWork(), Resources(), JobState.QUEUED, "", NOW, NOW, request_id=request_id
        )
        stored = self.store.create_job(job, learner=learner, fingerprint="f")
        self.runtime.job_queued(stored)
        return stored

    def recover(self) -> None:
        """Nothing disturbs it any more."""
        self.store.is_away.clear()
        self.store.is_asleep.clear()

    def leads(self) -> bool:
        lease = self.store.get_lease(SCHEDULER)
        return lease is not None and lease.holder == self.name

    def has_stepped_down(self) -> bool:
        """While it is cut off: then it has to ask the store who is warm."""
        try:
            self.is_warm("nobody")
        except StoreUnavailable:
            return True
        return False

    def is_warm(self, learner_id: str) -> bool:
        return asyncio.run(self.runtime.is_warm(learner_id))


def until(holds: Callable[[], bool]) -> None:
    """Wait for what the servers' threads bring about."""
    never = threading.Event()
    for _ in range(100 * TIMEOUT_S):
        if holds():
            return
        never.wait(0.01)
    raise AssertionError("it did not come about")
