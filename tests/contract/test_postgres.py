"""What servers on one PostgreSQL rely on beside the store's contract."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from support.postgres import PostgresServer

from learnfleet.server.domain import Job, JobKind, JobState, Learner, NewEvent, Resources, ShowWork
from learnfleet.server.errors import Deposed, NotFound, StoreUnavailable
from learnfleet.server.store.notices import Listener, Notice, Topic
from learnfleet.server.store.sql import SqlStore
from learnfleet.trainer.spec import DataSpec, LearnerSpec

NOW = datetime(2030, 1, 2, tzinfo=UTC)
_TIMEOUT_S = 20


@pytest.fixture
def own_postgres() -> Iterator[PostgresServer]:
    """A server that a test may stop."""
    server = PostgresServer()
    server.start()
    yield server
    server.remove()


def create(store: SqlStore, job_id: str = "one") -> Job:
    learner = Learner(job_id, LearnerSpec(DataSpec("/data"), "resnet18"), NOW, NOW)
    job = Job(job_id, job_id, JobKind.SHOW, ShowWork(), Resources(1), JobState.QUEUED, "", NOW, NOW)
    return store.create_job(job, learner=learner, fingerprint="f")


def test_servers_that_start_together_on_an_empty_database_make_its_tables_once(postgres: PostgresServer) -> None:
    url = postgres.new_schema()
    with ThreadPoolExecutor(6) as threads:
        stores = list(threads.map(lambda _: SqlStore(url), range(6)))
    create(stores[0])
    assert stores[-1].get_job("one").state is JobState.QUEUED
    for store in stores:
        store.close()


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_while_the_database_is_away_calls_are_unavailable_and_they_work_when_it_is_back(
    own_postgres: PostgresServer, end: str
) -> None:
    store = SqlStore(own_postgres.url())
    create(store)
    getattr(own_postgres, end)()
    for call in (lambda: store.get_job("one"), lambda: store.transition("one", JobState.CANCELLED)):
        with pytest.raises(StoreUnavailable) as caught:
            call()
        assert str(own_postgres.folder) not in str(caught.value)
    with pytest.raises(StoreUnavailable):
        SqlStore(own_postgres.url())
    own_postgres.start()
    assert store.get_job("one").state is JobState.QUEUED
    with pytest.raises(NotFound):
        store.get_job("two")
    store.close()


def test_a_server_hears_what_others_announce_and_not_what_it_said_itself(postgres: PostgresServer) -> None:
    url = postgres.new_schema()
    one, two = SqlStore(url, server_id="one"), SqlStore(url, server_id="two")
    heard: queue.Queue[Notice | None] = queue.Queue()
    listener = Listener(url, "two", heard.put, lambda: heard.put(None))
    listener.start()
    assert heard.get(timeout=_TIMEOUT_S) is None
    two.tell(Topic.RELEASE, "mine")
    create(one)
    one.append_events("one", [NewEvent("a", "log", {}, NOW, 1)])
    one.transition("one", JobState.CANCELLED)
    one.tell(Topic.RELEASE, "one")
    said = [heard.get(timeout=_TIMEOUT_S) for _ in range(4)]
    assert said == [
        Notice(Topic.QUEUED, "one", "one"),
        Notice(Topic.EVENTS, "one", "one"),
        Notice(Topic.EVENTS, "one", "one"),
        Notice(Topic.RELEASE, "one", "one"),
    ]
    listener.stop()
    one.close()
    two.close()


def test_a_listener_listens_again_when_the_database_was_restarted(own_postgres: PostgresServer) -> None:
    heard: queue.Queue[Notice | None] = queue.Queue()
    listener = Listener(own_postgres.url(), "one", heard.put, lambda: heard.put(None))
    listener.start()
    assert heard.get(timeout=_TIMEOUT_S) is None
    own_postgres.stop()
    own_postgres.start()
    assert heard.get(timeout=_TIMEOUT_S) is None
    store = SqlStore(own_postgres.url(), server_id="two")
    store.tell(Topic.WANTED, "x")
    assert heard.get(timeout=_TIMEOUT_S) == Notice(Topic.WANTED, "x", "two")
    listener.stop()
    store.close()


def test_the_tables_are_in_the_schema_that_the_url_names(postgres: PostgresServer) -> None:
    for _ in range(2):
        store = SqlStore(postgres.new_schema())
        create(store)
        assert [job.id for job in store.unfinished_jobs()] == ["one"]
        store.close()


def test_a_write_under_the_lease_is_over_before_another_takes_it(postgres: PostgresServer) -> None:
    url = postgres.new_schema()
    stores = [SqlStore(url), SqlStore(url)]
    create(stores[0])
    lease = stores[0].take_lease("l", "one", None)
    assert lease is not None
    fenced = stores[0].fenced(lease)

    def write() -> int:
        done = 0
        try:
            while True:
                fenced.append_events("one", [NewEvent(f"{done}", "log", {}, NOW, 1)])
                done += 1
        except Deposed:
            return done

    with ThreadPoolExecutor(1) as threads:
        writing = threads.submit(write)
        while stores[1].get_job("one").last_sequence < 20:
            pass
        assert stores[1].take_lease("l", "two", stores[1].get_lease("l")) is not None
        last = stores[1].get_job("one").last_sequence
        assert writing.result() == last - 1
    assert stores[1].get_job("one").last_sequence == last
    for store in stores:
        store.close()
