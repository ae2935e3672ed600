"""Two servers on one PostgreSQL, without RPCs and with fake workers: exactly one of them schedules."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import pytest
from sqlalchemy import Connection
from support.fake_cluster import NOW, FakeCluster
from support.postgres import PostgresServer

from learnfleet.server.config import Config
from learnfleet.server.domain import Job, JobKind, JobState, Learner, Resources, ShowWork, Wanted
from learnfleet.server.errors import StoreUnavailable
from learnfleet.server.runtime import ServerRuntime
from learnfleet.server.store.base import Store
from learnfleet.server.store.lease import SCHEDULER, Lease
from learnfleet.server.store.sql import SqlStore
from learnfleet.trainer.spec import DataSpec, LearnerSpec

LEASE_S = 0.8
_TIMEOUT_S = 30


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

    def stop(self) -> None: ...

    def abandon(self) -> None: ...


class Server:
    """A server without RPCs."""

    def __init__(self, name: str, folder: Path, url: str) -> None:
        self.name, self.cluster, self.told = name, FakeCluster(), threading.Condition()
        config = Config(folder, store=url, server_id=name, lease_s=LEASE_S)
        self.store = CutOffStore(url, server_id=name)
        self.store.is_away, self.store.is_asleep = threading.Event(), threading.Event()
        self.heard: list[str] = []
        self.runtime = ServerRuntime(config, self.store, self.heard.append, self.cluster, QuietExporter)  # type: ignore[arg-type]
        self.runtime.start()

    def queue(self, job_id: str) -> Job:
        learner = Learner(job_id, LearnerSpec(DataSpec("/data"), "resnet18"), NOW, NOW)
        job = Job(job_id, job_id, JobKind.SHOW, ShowWork(), Resources(), JobState.QUEUED, "", NOW, NOW)
        stored = self.store.create_job(job, learner=learner, fingerprint="f")
        self.runtime.job_queued(stored)
        return stored

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


@pytest.fixture
def is_fenced() -> bool:
    return True


@pytest.fixture
def servers(
    postgres: PostgresServer, tmp_path: Path, is_fenced: bool, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Server, Server]]:
    """The first schedules."""
    monkeypatch.setattr(CutOffStore, "is_fenced", is_fenced)
    url = postgres.new_schema()
    one = Server("one", tmp_path, url)
    until(one.leads)
    two = Server("two", tmp_path, url)
    yield one, two
    for server in (one, two):
        server.store.is_away.clear()
        server.store.is_asleep.clear()
        server.runtime.stop()
        server.store.close()


def until(holds: Callable[[], bool]) -> None:
    """Wait for what the servers' threads bring about."""
    never = threading.Event()
    for _ in range(100 * _TIMEOUT_S):
        if holds():
            return
        never.wait(0.01)
    raise AssertionError("it did not come about")


def test_a_job_that_one_server_takes_is_run_by_the_one_that_schedules(servers: tuple[Server, Server]) -> None:
    one, two = servers
    two.queue("job")
    assert one.cluster.started.wait(_TIMEOUT_S)
    until(lambda: two.is_warm("job"))
    one.cluster.finishes.set()
    until(lambda: two.store.get_job("job").state is JobState.SUCCEEDED)
    assert two.cluster.groups == []
    assert "job" in two.heard  # its watchers there need not wait


def test_a_job_is_cancelled_through_a_server_that_does_not_schedule(servers: tuple[Server, Server]) -> None:
    one, two = servers
    two.queue("job")
    assert one.cluster.started.wait(_TIMEOUT_S)
    asyncio.run(two.runtime.ask("job", Wanted.CANCEL))
    until(lambda: two.store.get_job("job").state is JobState.CANCELLED)


def test_workers_are_given_up_through_a_server_that_does_not_schedule(servers: tuple[Server, Server]) -> None:
    one, two = servers
    one.cluster.finishes.set()
    two.queue("job")
    until(lambda: two.store.get_job("job").state is JobState.SUCCEEDED)

    def is_released() -> bool:
        asyncio.run(two.runtime.release_workers("job"))  # nothing happens while they are at work
        return not two.is_warm("job")

    until(is_released)
    assert not one.cluster.groups[0].is_alive


def test_when_the_one_that_schedules_is_cut_off_the_other_goes_on_and_the_first_changes_nothing_more(
    servers: tuple[Server, Server],
) -> None:
    one, two = servers
    one.queue("job")
    until(lambda: one.store.get_job("job").state is JobState.RUNNING)
    one.store.is_away.set()
    until(two.leads)
    until(lambda: two.store.get_job("job").attempt == 2)
    one.cluster.finishes.set()  # what its workers have done is not the job's any more
    one.store.is_away.clear()
    until(lambda: not one.cluster.groups[0].is_alive)
    assert two.store.get_job("job").attempt == 2
    two.cluster.finishes.set()
    until(lambda: two.store.get_job("job").state is JobState.SUCCEEDED)
    events = two.store.read_events("job", 0)
    states = [stored.event.data["state"] for stored in events if stored.event.kind == "state"]
    assert states == ["queued", "starting", "running", "restarting", "starting", "running", "succeeded"]
    assert [stored.sequence for stored in events] == list(range(1, len(events) + 1))


def has_controller_of(job_id: str, servers: int) -> bool:
    """Whether more threads than those of so many servers run a job."""
    return sum(thread.name == f"job-{job_id}" for thread in threading.enumerate()) > servers


def stale_events(store: Store, job_id: str) -> list[str]:
    """Those that an attempt has told of after the next had begun."""
    newest, stale = 0, []
    for stored in store.read_events(job_id, 0):
        newest = max(newest, stored.event.attempt)
        if stored.event.attempt < newest:
            stale.append(stored.event.id)
    return stale


@pytest.mark.parametrize("is_fenced", [True, False], ids=["fenced", "with a planted fault"])
def test_what_a_server_still_writes_that_does_not_know_it_is_deposed_is_refused(
    is_fenced: bool, servers: tuple[Server, Server]
) -> None:
    one, two = servers
    one.queue("job")
    until(lambda: one.store.get_job("job").state is JobState.RUNNING)
    one.store.is_asleep.set()
    until(two.leads)
    until(lambda: two.store.get_job("job").attempt == 2)
    until(lambda: two.store.get_job("job").state is JobState.RUNNING)
    one.cluster.finishes.set()
    if is_fenced:
        until(lambda: not has_controller_of("job", servers=1))
        assert two.store.get_job("job").state is JobState.RUNNING
        two.cluster.finishes.set()
        until(lambda: two.store.get_job("job").state is JobState.SUCCEEDED)
        assert stale_events(two.store, "job") == []
    else:
        until(lambda: two.store.get_job("job").state is JobState.SUCCEEDED)
        assert stale_events(two.store, "job") == ["end/1"]


def test_a_server_that_was_cut_off_alone_goes_on_with_the_workers_it_has(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    one = Server("one", tmp_path, postgres.new_schema())
    one.queue("job")
    until(lambda: one.store.get_job("job").state is JobState.RUNNING)
    lease = one.store.get_lease(SCHEDULER)
    one.store.is_away.set()
    until(one.has_stepped_down)
    one.store.is_away.clear()
    until(lambda: one.store.get_lease(SCHEDULER).term > lease.term)  # type: ignore[union-attr]
    one.cluster.finishes.set()
    until(lambda: one.store.get_job("job").state is JobState.SUCCEEDED)
    assert (one.store.get_job("job").attempt, len(one.cluster.groups)) == (1, 1)
    one.runtime.stop()
    one.store.close()


def test_a_server_that_is_stopped_in_order_gives_the_lease_back(servers: tuple[Server, Server]) -> None:
    one, two = servers
    one.runtime.stop()
    lease = two.store.get_lease(SCHEDULER)
    assert lease is not None
    assert lease.holder in (None, "two")
    until(two.leads)
