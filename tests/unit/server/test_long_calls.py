"""Calls that block for long, and those that must be answered meanwhile."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path

import pytest
from support.rpc_server import FakeRuntime

from learnfleet.server.config import Config
from learnfleet.server.errors import NotFound, Unavailable
from learnfleet.server.inference.ports import InferOptions, PictureFile
from learnfleet.server.rpc.hub import EventHub
from learnfleet.server.rpc.job_logs import JobLogs
from learnfleet.server.rpc.jobs import JobServicer
from learnfleet.server.rpc.watch import Watch
from learnfleet.server.runtime import ServerRuntime
from learnfleet.server.store.sql import SqlStore
from learnfleet.server.tracking.registry import ModelRegistry
from learnfleet.server.workers.catalog import WorkerCatalog
from learnfleet.server.workers.cluster import RayCluster
from learnfleet.v1 import job_service_pb2

MORE_THAN_ASYNCIO_HAS_THREADS = 40
TIMEOUT_S = 60

Calls = list[Coroutine[None, None, object]]


@pytest.fixture
def blocked(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Workers that answer nothing until this is set."""
    released = threading.Event()

    def answer(*_: object) -> None:
        released.wait(TIMEOUT_S)
        raise Unavailable("no workers here")

    monkeypatch.setattr(ModelRegistry, "registered", answer)
    monkeypatch.setattr(RayCluster, "wait", answer)
    return released


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqlStore]:
    store = SqlStore(Config(tmp_path).store_url)
    yield store
    store.close()


def _is_answered_during(make_calls: Callable[[], Calls], store: SqlStore, released: threading.Event) -> None:
    """GetJob answers while the calls wait, and they all end afterwards."""
    asking = job_service_pb2.GetJobRequest(name="jobs/unknown")

    async def main() -> None:
        config, hub = Config(Path()), EventHub()
        jobs = JobServicer(config, store, FakeRuntime(store), Watch(store, hub), JobLogs(config, store, hub))
        waiting = [asyncio.create_task(call) for call in make_calls()]
        try:
            with pytest.raises(NotFound):
                await asyncio.wait_for(jobs.get_job(asking), TIMEOUT_S / 6)
            assert not any(call.done() for call in waiting)
        finally:
            released.set()
        ended = await asyncio.wait_for(asyncio.gather(*waiting, return_exceptions=True), TIMEOUT_S)
        assert all(isinstance(error, Unavailable) for error in ended)

    asyncio.run(main())


def test_predictions_that_take_long_do_not_keep_other_calls_from_an_answer(
    tmp_path: Path, store: SqlStore, blocked: threading.Event
) -> None:
    runtime = ServerRuntime(Config(tmp_path), store, lambda _: None)
    models = [f"models/m@a{number}" for number in range(MORE_THAN_ASYNCIO_HAS_THREADS)]
    ask = runtime.inference.infer
    _is_answered_during(lambda: [ask(name, [PictureFile(b"x")], InferOptions()) for name in models], store, blocked)


def test_workers_that_do_not_answer_do_not_keep_other_calls_from_an_answer(
    tmp_path: Path, store: SqlStore, blocked: threading.Event
) -> None:
    catalog = WorkerCatalog(RayCluster(Config(tmp_path)), tmp_path)
    many = range(MORE_THAN_ASYNCIO_HAS_THREADS)
    _is_answered_during(lambda: [catalog.capacity() for _ in many], store, blocked)
