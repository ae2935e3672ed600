"""A database that came by the migrations equals one that was made at once."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Engine, create_engine, inspect

from learnfleet.server.store import database


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


def test_migrations_and_the_schema_give_the_same_tables(tmp_path: Path) -> None:
    made = database.open_database(f"sqlite:///{tmp_path / 'made.db'}")
    migrated = create_engine(f"sqlite:///{tmp_path / 'migrated.db'}")
    database.migrate(migrated)
    assert _shape(migrated) == _shape(made)


def test_head_is_the_newest_migration() -> None:
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(Path(database.__file__).with_name("migrations")))
    assert ScriptDirectory.from_config(config).get_current_head() == database.HEAD
