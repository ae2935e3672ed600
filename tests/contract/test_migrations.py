"""A database that came by the migrations equals one that was made at once."""

from __future__ import annotations

import dataclasses
import itertools
from pathlib import Path

import pytest
from alembic import command
from sqlalchemy import Engine, text
from sqlalchemy.exc import IntegrityError
from support.old_servers import made_at, put, read, rows_of_every_table, shape_of, tables_of, versions
from support.postgres import PostgresServer
from support.store_values import a_job, create, filled

from learnfleet.server.store import database
from learnfleet.server.store.schema import metadata
from learnfleet.server.store.sql import SqlStore

# Of a store of version 0002 that was worked with: what others refer to, and what refers to it.
_ROWS = {
    "learners": "(id, spec, classes, frozen_to, epochs, steps, revision, created_at, updated_at, tenant) VALUES"
    " ('pets', '{}', '[]', 0, 0, 0, 0, 'now', 'now', 'red')",
    "jobs": "(id, learner_id, kind, work, num_workers, gpus_per_worker, state, reason, attempt, last_sequence,"
    " request_id, fingerprint, created_at, updated_at, tenant) VALUES"
    " ('one', 'pets', 'TRAIN', '{}', 1, 0, 'QUEUED', '', 0, 1, 'r', 'f', 'now', 'now', 'red')",
    "events": "(job_id, sequence, id, kind, data, time, attempt) VALUES ('one', 1, 'e', 'log', '{}', 'now', 0)",
    "cursors": "(consumer, job_id, sequence) VALUES ('mlflow', 'one', 1)",
    "datasets": "(id, tenant, created_at, updated_at) VALUES ('photos', 'red', 'now', 'now')",
    "dataset_versions": "(dataset_id, version, state, reason, source_uri, path, files, size_bytes, request_id,"
    " fingerprint, created_at) VALUES ('photos', 1, 'READY', '', '', '', 1, 1, 'r', 'f', 'now')",
}
STEPS = list(itertools.pairwise(versions()))


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Of an empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'store.db'}"
    server: PostgresServer = request.getfixturevalue("postgres")
    return server.new_database()


def _go_back(engine: Engine, revision: str) -> Engine:
    with database.changing_tables(engine) as connection:
        command.downgrade(database.alembic_on(connection), revision)
    return engine


def _put(engine: Engine, table: str, values: str) -> None:
    with engine.begin() as connection:
        connection.execute(text(f"INSERT INTO {table} {values}"))


def _requests(engine: Engine) -> list[tuple[object, ...]]:
    query = "SELECT id, request_id FROM jobs UNION ALL SELECT dataset_id, request_id FROM dataset_versions ORDER BY 1"
    with engine.begin() as connection:
        return [tuple(row) for row in connection.execute(text(query))]


def _migrated(engine: Engine) -> Engine:
    with engine.begin() as connection:
        metadata.drop_all(connection)
        connection.execute(text("DROP TABLE alembic_version"))
        database.migrate(connection)
    return engine


def test_migrations_and_the_schema_give_the_same_tables(tmp_path: Path) -> None:
    made = database.open_database(f"sqlite:///{tmp_path / 'made.db'}")
    migrated = database.open_database(f"sqlite:///{tmp_path / 'migrated.db'}")
    assert shape_of(_migrated(migrated)) == shape_of(made)


def test_migrations_and_the_schema_give_the_same_tables_on_postgresql(postgres: PostgresServer) -> None:
    made = database.open_database(postgres.new_database())
    migrated = database.open_database(postgres.new_database())
    assert shape_of(_migrated(migrated)) == shape_of(made)
    made.dispose()
    migrated.dispose()


def test_a_store_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'made.db'}"
    with database.open_database(url).begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(RuntimeError, match="newer learnfleet"):
        database.open_database(url)


def test_head_is_the_newest_migration() -> None:
    assert versions()[-1] == database.HEAD


@pytest.mark.parametrize(("before", "after"), STEPS)
def test_each_step_keeps_the_rows_of_every_table_up_and_down_and_up_again(
    url: str, tmp_path: Path, before: str, after: str
) -> None:
    engine = made_at(url, before)
    tables, shape = tables_of(engine), shape_of(engine)
    put(engine, tables, rows_of_every_table(tmp_path))
    was = read(engine, tables)
    for version in (after, before, after):
        database.move_to(engine, version)
        assert read(engine, tables) == was
        if version == before:
            assert shape_of(engine) == shape
    engine.dispose()


def test_the_first_step_is_undone_to_nothing(url: str) -> None:
    engine = made_at(url, versions()[0])
    _go_back(engine, "base")
    assert set(shape_of(engine)) == {database.VERSION_TABLE}
    engine.dispose()


def test_request_ids_become_each_tenants_own_and_everybodys_again_without_losing_a_row(url: str) -> None:
    old = _go_back(database.open_database(url), "0002")
    shape = shape_of(old)
    for table, values in _ROWS.items():
        _put(old, table, values)
    with pytest.raises(IntegrityError):
        _put(old, "jobs", _ROWS["jobs"].replace("'one'", "'two'").replace("'red'", "'blue'"))
    old.dispose()

    new = database.open_database(url)
    with new.begin() as connection:
        counts = {name: connection.execute(text(f"SELECT COUNT(*) FROM {name}")).scalar() for name in _ROWS}
        assert counts == dict.fromkeys(_ROWS, 1)
        assert connection.execute(text("SELECT tenant FROM dataset_versions")).scalar() == "red"
    with pytest.raises(IntegrityError):
        _put(new, "jobs", _ROWS["jobs"].replace("'one'", "'two'"))
    _put(new, "jobs", _ROWS["jobs"].replace("'one'", "'two'").replace("'red'", "'blue'"))
    with pytest.raises(IntegrityError):  # rows that others refer to are looked after as before
        _put(new, "events", _ROWS["events"].replace("'one'", "'nothing'"))

    assert shape_of(_go_back(new, "0002")) == shape
    assert _requests(new) == [("one", "r"), ("photos", "r"), ("two", None)]
    new.dispose()


@pytest.mark.parametrize("revision", ["0001", "0002"])
def test_a_store_that_was_worked_with_goes_back_and_forth_and_is_worked_with_again(url: str, revision: str) -> None:
    """Jobs with their events, learners and checkpoints; what the older version has no place for is gone."""
    store = filled(url)
    was = {job: (store.get_job(job), store.read_events(job, 0)) for job in ("one", "two", "three")}
    learner, checkpoint = store.get_learner("pets"), store.get_checkpoint("pets", "named")
    store.close()
    engine = database.unmigrated_database(url)
    assert database.move_to(engine, revision) == database.HEAD
    engine.dispose()

    store = SqlStore(url)  # the newer version starts
    for job, (before, events) in was.items():
        tenant = before.tenant if revision == "0002" else "default"
        assert store.get_job(job) == dataclasses.replace(before, tenant=tenant)
        assert store.read_events(job, 0) == events
    assert (store.get_learner("pets"), store.get_checkpoint("pets", "named")) == (learner, checkpoint)
    assert store.cursor("mlflow", "one") == 1
    assert create(store, a_job("four", "pets", request_id="r4"), new_learner=False).id == "four"
    assert create(store, a_job("other", "pets", request_id="r1"), new_learner=False).id == "one"
    store.close()
