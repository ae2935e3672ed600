"""A database that came by the migrations equals one that was made at once."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import Engine, inspect, text
from support.postgres import PostgresServer

from learnfleet.server.store import database
from learnfleet.server.store.schema import metadata


def _shape(engine: Engine) -> dict[str, object]:
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


def _migrated(engine: Engine) -> Engine:
    with engine.begin() as connection:
        metadata.drop_all(connection)
        connection.execute(text("DROP TABLE alembic_version"))
        database.migrate(connection)
    return engine


def test_migrations_and_the_schema_give_the_same_tables(tmp_path: Path) -> None:
    made = database.open_database(f"sqlite:///{tmp_path / 'made.db'}")
    migrated = database.open_database(f"sqlite:///{tmp_path / 'migrated.db'}")
    assert _shape(_migrated(migrated)) == _shape(made)


def test_migrations_and_the_schema_give_the_same_tables_on_postgresql(postgres: PostgresServer) -> None:
    made = database.open_database(postgres.new_database())
    migrated = database.open_database(postgres.new_database())
    assert _shape(_migrated(migrated)) == _shape(made)
    made.dispose()
    migrated.dispose()


def test_a_store_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'made.db'}"
    with database.open_database(url).begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(RuntimeError, match="newer learnfleet"):
        database.open_database(url)


def test_head_is_the_newest_migration() -> None:
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(Path(database.__file__).with_name("migrations")))
    assert ScriptDirectory.from_config(config).get_current_head() == database.HEAD
