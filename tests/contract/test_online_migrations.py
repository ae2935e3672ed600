"""Servers of the version before go on working on tables that a newer one has migrated, or is about to."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import Engine, Table, delete, insert, select, text, update
from support.old_servers import Rows, made_at, put, read, renamed, rows_of_every_table, tables_of, versions
from support.postgres import PostgresServer
from support.store_values import NOW

from learnfleet.server.data.values import DatasetState, DatasetVersion
from learnfleet.server.domain import JobState
from learnfleet.server.errors import ResourceExhausted, StoreUnavailable
from learnfleet.server.store import database
from learnfleet.server.store.datasets import ByteQuota
from learnfleet.server.store.outage import told_as_unavailable
from learnfleet.server.store.sql import SqlStore

_BIRDS = DatasetVersion("birds-later", 0, DatasetState.PENDING, "", "", "/d", "c" * 64, 1, 5, NOW, request_id="r-later")
_WAIT_S = 30.0


def _change(engine: Engine, tables: Sequence[Table]) -> None:
    """A job of the older server's runs and tells of it, a learner goes on, and a log is forgotten."""
    by_name = {table.name: table for table in tables}
    jobs, learners, events = by_name["jobs"], by_name["learners"], by_name["events"]
    told = {"job_id": "one-later", "sequence": 4, "id": "c", "kind": "log", "data": "{}", "attempt": 1}
    with engine.begin() as connection:
        running = {"state": "running", "reason": "", "attempt": 1, "last_sequence": 4, "updated_at": NOW.isoformat()}
        connection.execute(update(jobs).where(jobs.c.id == "one-later").values(running))
        connection.execute(insert(events).values({**told, "time": NOW.isoformat()}))
        connection.execute(update(learners).where(learners.c.id == "pets-later").values(steps=7, revision=1))
        connection.execute(delete(events).where(events.c.job_id == "one"))


@pytest.mark.parametrize(("before", "after"), list(itertools.pairwise(versions())))
def test_a_server_goes_on_reading_and_writing_on_the_next_versions_tables_and_newer_ones_read_it(
    store_url: str, tmp_path: Path, before: str, after: str
) -> None:
    engine, rows = made_at(store_url, before), rows_of_every_table(tmp_path)
    tables = tables_of(engine)
    put(engine, tables, rows)
    was = read(engine, tables)

    database.move_to(engine, after)
    assert read(engine, tables) == was
    put(engine, tables, renamed(rows))
    _change(engine, tables)

    _is_whole(read(engine, tables_of(engine)), was)
    engine.dispose()
    _is_read(store_url, "red-later" if before > "0001" else "default")


def _is_whole(now: Rows, was: Rows) -> None:
    """Each row twice, also with the next version's columns; of the events three were forgotten and one was told."""
    counts = {name: 2 * len(rows) for name, rows in was.items()}
    counts["events"] -= 2
    assert {name: len(now[name]) for name in was} == counts


def _is_read(url: str, tenant: str) -> None:
    """By the newest server, which goes on with it."""
    store = SqlStore(url)
    job = store.get_job("one-later")
    assert (job.state, job.attempt) == (JobState.RUNNING, 1)
    assert store.get_job("three-later").tenant == tenant
    assert [event.event.id for event in store.read_events("one-later", 1)] == ["a-later", "b-later", "c"]
    assert (store.read_events("one", 0), store.get_learner("pets-later").steps) == ([], 7)
    assert store.get_checkpoint("pets-later", "named-later").step == 10
    assert store.cursor("mlflow-later", "one-later") == 1
    assert store.transition("one-later", JobState.SUCCEEDED).state is JobState.SUCCEEDED
    if tenant != "default":  # 0001 has no data sets
        assert store.add_version(_BIRDS, tenant, "f").version == 1
        assert [each.version for each in store.get_dataset("birds-later", tenant).versions] == [1]
    store.close()


@pytest.mark.parametrize("moved_to", ["0003", database.HEAD])
def test_a_version_that_an_older_server_adds_during_the_upgrade_is_its_own_tenants(
    store_url: str, tmp_path: Path, moved_to: str
) -> None:
    """Tables of 0003 gave it to the tenant "default", and no upgrade took it away again."""
    engine = made_at(store_url, "0002")
    tables = tables_of(engine)
    database.move_to(engine, moved_to)
    put(engine, tables, renamed(rows_of_every_table(tmp_path)))
    store = SqlStore(store_url)

    found = store.version_of_request("r-later", "f", "red-later")
    assert found is not None
    assert found.dataset_id == "birds-later"
    assert store.version_of_request("r-later", "f", "default") is None
    mine = dataclasses.replace(_BIRDS, dataset_id="mine", size_bytes=6)
    assert store.add_version(mine, "default", "f", ByteQuota(6, "/d")).dataset_id == "mine"
    more = dataclasses.replace(_BIRDS, sha256="d" * 64, request_id=None)
    with pytest.raises(ResourceExhausted, match="has 305 bytes"):
        store.add_version(more, "red-later", "f", ByteQuota(10, "/d"))
    store.close()

    for version in ("0004", "0002"):  # where a tenant must be said, and where nobody has one
        database.move_to(engine, version)
    engine.dispose()
    store = SqlStore(store_url)
    assert store.get_version("birds-later", 1, "red-later").request_id is None
    assert store.version_of_request("r-later", "f", "default") is not None
    store.close()


# -- PostgreSQL: while tables change


@contextlib.contextmanager
def _working(url: str, tables: Sequence[Table], rows: Rows) -> Iterator[list[str]]:
    """A server that adds learners with a job, runs them, and reads them; those that are done, as they become so.

    What is answered UNAVAILABLE is not done: the next is.
    """
    done: list[str] = []
    stop, engine = threading.Event(), database.unmigrated_database(url)
    by_name = {table.name: table for table in tables}
    learners, jobs = by_name["learners"], by_name["jobs"]
    learner, job = (
        {key: value for key, value in rows[table.name][0].items() if key in table.c} for table in (learners, jobs)
    )

    def work() -> None:
        for name in (f"work-{number}" for number in itertools.count()):
            if stop.is_set():
                return
            with contextlib.suppress(StoreUnavailable), told_as_unavailable():
                with engine.begin() as connection:
                    connection.execute(insert(learners).values({**learner, "id": name}))
                    mine = {"id": name, "learner_id": name, "request_id": name}
                    connection.execute(insert(jobs).values({**job, **mine}))
                with engine.begin() as connection:
                    connection.execute(select(jobs).where(jobs.c.id == name).with_for_update()).one()
                    connection.execute(update(jobs).where(jobs.c.id == name).values(state="running"))
                    connection.execute(update(learners).where(learners.c.id == name).values(steps=1))
                done.append(name)

    with ThreadPoolExecutor(1) as threads:
        worker = threads.submit(work)
        try:
            yield done
        finally:
            stop.set()
            worker.result(_WAIT_S)
    engine.dispose()


def _until_more(done: Sequence[str], count: int = 20) -> None:
    most, until_s = len(done) + count, time.monotonic() + _WAIT_S
    while len(done) < most:
        assert time.monotonic() < until_s, "nothing is done any more"
        time.sleep(0.01)


@pytest.mark.parametrize("before", versions()[:-1])
def test_a_server_loses_nothing_while_a_newer_one_starts_beside_it(
    postgres: PostgresServer, tmp_path: Path, before: str
) -> None:
    url, rows = postgres.new_schema(), rows_of_every_table(tmp_path)
    engine = made_at(url, before)
    tables = tables_of(engine)
    put(engine, tables, rows)

    with _working(url, tables, rows) as done:
        _until_more(done)
        store = SqlStore(url)
        assert database.version_of(engine.connect()) == database.HEAD
        _until_more(done)

    running = [name for name in done if store.get_job(name).state is JobState.RUNNING and store.get_learner(name).steps]
    assert running == done
    store.close()
    engine.dispose()


def test_a_newer_server_waits_for_a_backup_and_the_older_one_does_not_wait_with_it(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    url, rows = postgres.new_schema(), rows_of_every_table(tmp_path)
    engine = made_at(url, "0003")
    tables = tables_of(engine)
    put(engine, tables, rows)

    with ThreadPoolExecutor(1) as threads, _working(url, tables, rows) as done:
        with engine.begin() as backup:
            backup.execute(text("SELECT count(*) FROM jobs"))
            newer: Future[SqlStore] = threads.submit(SqlStore, url)
            _until_somebody_waits(engine)
            _until_more(done)
            assert not newer.done()
        newer.result(_WAIT_S).close()
        _until_more(done)
    engine.dispose()


def _until_somebody_waits(engine: Engine) -> None:
    """For a table that another has."""
    query = text("SELECT count(*) FROM pg_locks WHERE NOT granted AND mode = 'AccessExclusiveLock'")
    until_s = time.monotonic() + _WAIT_S
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        while not connection.execute(query).scalar():
            assert time.monotonic() < until_s, "nobody waits"
            time.sleep(0.01)
