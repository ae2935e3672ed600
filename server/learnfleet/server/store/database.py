"""Opening the database: SQLite settings, and migrations."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import Engine, create_engine, event, inspect, text

from learnfleet.server.store.schema import metadata

HEAD = "0002"  # the newest migration; a test compares it with the migrations folder
_MIGRATIONS = Path(__file__).with_name("migrations")
_BUSY_TIMEOUT_S = 30


def open_database(url: str) -> Engine:
    """An engine on the database at `url`, with all migrations applied.

    A new database is made from the schema at once and an up-to-date one is left alone: neither needs alembic, whose
    import would be a good part of the time a server takes to listen.
    """
    engine = create_engine(url, connect_args=_connect_args(url))
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _set_up_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    with engine.connect() as connection:
        tables = inspect(connection).get_table_names()
        version = connection.execute(text("SELECT version_num FROM alembic_version")).scalar() if tables else None
    if not tables:
        _create(engine)
    elif version != HEAD:
        migrate(engine)
    return engine


def migrate(engine: Engine) -> None:
    """Apply the migrations that the database has not seen."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def _create(engine: Engine) -> None:
    with engine.begin() as connection:
        metadata.create_all(connection)
        connection.execute(text("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)"))
        connection.execute(text("INSERT INTO alembic_version VALUES (:head)"), {"head": HEAD})


def _connect_args(url: str) -> dict[str, Any]:
    return {"timeout": _BUSY_TIMEOUT_S, "check_same_thread": False} if url.startswith("sqlite") else {}


def _set_up_sqlite(connection: Any, _record: object) -> None:
    # The driver would begin transactions by itself, late and deferred: _begin_sqlite does it instead.
    connection.isolation_level = None
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Any) -> None:
    # IMMEDIATE: a transaction that reads and then writes must not find that somebody else wrote in between.
    read_only = connection.get_execution_options().get("read_only", False)
    connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")
