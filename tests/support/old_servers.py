"""What servers of older versions of learnfleet have and do: their tables, and rows as they write them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, MetaData, Table, inspect, select
from sqlalchemy import insert as sql_insert
from support.store_values import NOW, filled

from learnfleet.server.data.values import DatasetState, DatasetVersion, Upload
from learnfleet.server.domain import Group, Resources
from learnfleet.server.store import database, schema

Rows = Mapping[str, Sequence[Mapping[str, Any]]]
_NAMES = frozenset(
    ("id", "learner_id", "job_id", "dataset_id", "checkpoint_id", "request_id", "tenant", "name", "consumer")
)
_LATER = "-later"


def versions() -> list[str]:
    """Of the tables, the oldest first."""
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(Path(database.__file__).with_name("migrations")))
    return [script.revision for script in ScriptDirectory.from_config(config).walk_revisions()][::-1]


def made_at(url: str, version: str) -> Engine:
    """An empty store, as a server of this version has made it."""
    engine = database.unmigrated_database(url)
    with database.changing_tables(engine) as connection:
        database.migrate(connection, version)
    return engine


def tables_of(engine: Engine) -> list[Table]:
    """As a server knows them whose version the database has now; those that others refer to come first."""
    known = MetaData()
    known.reflect(engine)
    return [table for table in known.sorted_tables if table.name != database.VERSION_TABLE]


def rows_of_every_table(folder: Path) -> Rows:
    """As the newest server writes them. Numbers are the database's to give."""
    store = filled(url := f"sqlite:///{folder / 'rows-of-every-table.db'}")
    version = DatasetVersion("birds", 0, DatasetState.PENDING, "", "", "/d", "b" * 64, 1, 5, NOW, request_id="r")
    store.add_version(version, "red", "f")
    store.put_group(Group("pets", 1, Resources(2), "space"))
    store.add_usage({"red": 1.5}, 60)
    store.take_lease("scheduler", "a", None)
    store.begin_upload(Upload("up", "photos", "red", "zip", 10, 5, NOW, NOW))
    store.close()
    engine = database.unmigrated_database(url)
    found = {table.name: _read(engine, table) for table in schema.metadata.sorted_tables}
    engine.dispose()
    assert all(found.values())
    return {name: [_without(row, "number") for row in rows] for name, rows in found.items()}


def renamed(rows: Rows) -> Rows:
    """The same again, of other learners, jobs and tenants."""
    return {name: [{key: _later(key, value) for key, value in row.items()} for row in of] for name, of in rows.items()}


def _later(key: str, value: Any) -> Any:
    return f"{value}{_LATER}" if key in _NAMES and value is not None else value


def put(engine: Engine, tables: Sequence[Table], rows: Rows) -> None:
    """What these tables have columns for."""
    with engine.begin() as connection:
        for table in tables:
            values = [{key: value for key, value in row.items() if key in table.c} for row in rows[table.name]]
            connection.execute(sql_insert(table), values)


def read(engine: Engine, tables: Sequence[Table]) -> Rows:
    """All rows, with these columns, in the order of their keys."""
    return {table.name: _read(engine, table) for table in tables}


def _read(engine: Engine, table: Table) -> list[dict[str, Any]]:
    with engine.begin() as connection:
        return [dict(row) for row in connection.execute(select(table).order_by(*table.primary_key)).mappings()]


def _without(row: Mapping[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name != key}


def shape_of(engine: Engine) -> dict[str, object]:
    """Columns, indexes and constraints, by table."""
    found = inspect(engine)
    return {
        table: (
            {column["name"]: (str(column["type"]), column["nullable"]) for column in found.get_columns(table)},
            sorted(tuple(index["column_names"]) for index in found.get_indexes(table)),
            found.get_pk_constraint(table)["constrained_columns"],
            sorted(tuple(key["constrained_columns"]) for key in found.get_foreign_keys(table)),
            sorted(tuple(key["column_names"]) for key in found.get_unique_constraints(table)),
        )
        for table in found.get_table_names()
    }
