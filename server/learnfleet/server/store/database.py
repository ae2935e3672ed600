"""Opening the database: its settings, and migrations."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, inspect, make_url, text

from learnfleet.server.store import postgres
from learnfleet.server.store.outage import told_as_unavailable
from learnfleet.server.store.schema import metadata

HEAD = "0002"  # the newest migration; a test compares it with the migrations folder
_MIGRATIONS = Path(__file__).with_name("migrations")
_BUSY_TIMEOUT_S = 30


def open_database(url: str) -> Engine:
    """An engine on the database at `url`, with all migrations applied.

    A new database is made from the schema at once and an up-to-date one is left alone: neither needs alembic, whose
    import would be a good part of the time a server takes to listen. Of several servers that start together one
    does it and the others wait. Raises StoreUnavailable, RuntimeError for a database of a newer version.
    """
    engine = _engine(make_url(url))
    with told_as_unavailable(), engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            postgres.lock_schema(connection)
        _bring_up_to_date(connection)
    return engine


def _bring_up_to_date(connection: Connection) -> None:
    if not inspect(connection).get_table_names():
        _create(connection)
        return
    version = connection.execute(text("SELECT version_num FROM alembic_version")).scalar() or ""
    if version > HEAD:
        raise RuntimeError(f"the store has version {version} and this server knows {HEAD}: run a newer learnfleet")
    if version != HEAD:
        migrate(connection)


def _engine(url: URL) -> Engine:
    if url.get_backend_name() in ("postgresql", "postgres"):
        return postgres.engine(url)
    settings: dict[str, Any] = {}
    if url.get_backend_name() == "sqlite":
        settings["connect_args"] = {"timeout": _BUSY_TIMEOUT_S, "check_same_thread": False}
    engine = create_engine(url, **settings)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _set_up_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    return engine


def migrate(connection: Connection) -> None:
    """Apply the migrations that the database has not seen, as a part of the connection's transaction."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _create(connection: Connection) -> None:
    metadata.create_all(connection)
    connection.execute(text("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)"))
    connection.execute(text("INSERT INTO alembic_version VALUES (:head)"), {"head": HEAD})


def _set_up_sqlite(connection: Any, _record: object) -> None:
    # The driver would begin transactions by itself, late and deferred: _begin_sqlite does it instead.
    connection.isolation_level = None
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Any) -> None:
    # IMMEDIATE: a transaction that reads and then writes must not find that somebody else wrote in between.
    read_only = connection.get_execution_options().get("read_only", False)
    connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")
