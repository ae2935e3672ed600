"""Opening the database: its settings, and migrations."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, inspect, make_url, text

from learnfleet.server.errors import StoreUnavailable
from learnfleet.server.store import postgres
from learnfleet.server.store.outage import told_as_unavailable
from learnfleet.server.store.schema import metadata

if TYPE_CHECKING:
    from alembic.config import Config

HEAD = "0005"  # the newest migration; a test compares it with the migrations folder
VERSION_TABLE = "alembic_version"
_MIGRATIONS = Path(__file__).with_name("migrations")
_BUSY_TIMEOUT_S = 30
_PATIENCE_S, _PAUSE_S = 600.0, 5.0  # of a migration, with those who use its tables

_log = logging.getLogger(__name__)


class UnknownVersion(ValueError):
    """Tables of a version that this learnfleet has no migration from or to."""


def open_database(url: str) -> Engine:
    """An engine on the database at `url`, with all migrations applied.

    A new database is made from the schema at once and an up-to-date one is left alone: neither needs alembic, whose
    import would be a good part of the time a server takes to listen. Of several servers that start together one
    does it and the others wait. Servers of the version before may work on it meanwhile. Raises StoreUnavailable,
    RuntimeError for a database of a newer version.
    """
    engine, until_s = _engine(make_url(url)), time.monotonic() + _PATIENCE_S
    while True:
        try:
            with told_as_unavailable(), changing_tables(engine) as connection:
                _bring_up_to_date(connection)
            return engine
        except StoreUnavailable as error:
            if not postgres.was_locked_out(error.__cause__) or time.monotonic() > until_s:
                raise
        _log.warning("somebody uses the tables that are to be changed, such as a backup; trying again")
        time.sleep(_PAUSE_S)


@contextmanager
def changing_tables(engine: Engine) -> Iterator[Connection]:
    """A transaction in which nobody else changes tables."""
    if engine.dialect.name == "postgresql":
        with engine.begin() as connection:
            postgres.lock_schema(connection)
            yield connection
        return
    # SQLite cannot change a constraint: a table is copied and the old one dropped, whose rows others refer to. That is
    # allowed where references are not looked at, which can only be said before a transaction.
    with engine.connect().execution_options(changes_tables=True) as connection:
        try:
            with connection.begin():
                yield connection
                lost = connection.execute(text("PRAGMA foreign_key_check")).first()
                assert lost is None, f"a migration has left rows that refer to nothing: {lost}"
        finally:
            connection.invalidate()  # a new one looks at them


def _bring_up_to_date(connection: Connection) -> None:
    if not inspect(connection).get_table_names():
        _create(connection)
        return
    version = version_of(connection)
    if version > HEAD:
        raise RuntimeError(f"the store has version {version} and this server knows {HEAD}: run a newer learnfleet")
    if version != HEAD:
        migrate(connection)


def version_of(connection: Connection) -> str:
    """Of the tables of a database that has a store: the last migration that it has seen."""
    return str(connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar() or "")


def unmigrated_database(url: str) -> Engine:
    """An engine on the database as it is. Raises RuntimeError where a driver is missing."""
    return _engine(make_url(url))


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


def migrate(connection: Connection, to: str = "head") -> None:
    """Apply the migrations that the database has not seen, as a part of the connection's transaction.

    Args:
        to: the last of them.
    """
    from alembic import command

    command.upgrade(alembic_on(connection), to)


def move_to(engine: Engine, version: str) -> str:
    """Migrate up or down to a version, all of it or nothing; the version before. Raises UnknownVersion."""
    from alembic import command
    from alembic.script import ScriptDirectory

    with told_as_unavailable(), changing_tables(engine) as connection:
        config = alembic_on(connection)
        known = [script.revision for script in ScriptDirectory.from_config(config).walk_revisions()][::-1]
        if not inspect(connection).has_table(VERSION_TABLE):
            raise UnknownVersion("there is no store in this database: no server has been started on it")
        before = version_of(connection)
        wrong = next((each for each in (version, before) if each not in known), None)
        if wrong is not None:
            raise UnknownVersion(f"version {wrong} of the tables is not known here; there are {', '.join(known)}")
        (command.upgrade if known.index(version) >= known.index(before) else command.downgrade)(config, version)
        return before


def alembic_on(connection: Connection) -> Config:
    """What alembic's commands are given to work in the connection's transaction."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    config.attributes["connection"] = connection
    return config


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
    if connection.get_execution_options().get("changes_tables", False):
        connection.exec_driver_sql("PRAGMA foreign_keys=OFF")
    # IMMEDIATE: a transaction that reads and then writes must not find that somebody else wrote in between.
    read_only = connection.get_execution_options().get("read_only", False)
    connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")
