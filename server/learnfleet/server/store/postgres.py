"""What is PostgreSQL's own: its driver's settings, and locks."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, Any

from sqlalchemy import URL, Connection, Engine, create_engine, text

if TYPE_CHECKING:
    import psycopg

_DRIVER = "postgresql+psycopg"
_POOL = 8  # connections that stay
_MORE = 24  # and those for a rush, which are closed after it
_POOL_WAIT_S = 10
_CONNECT_S = 5
_DEAD_PEER_MS = 15_000
# A server that is stopped in the middle of a transaction must not hold its locks for ever, and nobody waits for one
# for longer than a call may take.
_SESSION = {"idle_in_transaction_session_timeout": "10s", "lock_timeout": "10s", "statement_timeout": "60s"}
# Who wants to change a table waits for those who use it, and all others stand in line behind him: for less than they
# are ready to.
_TABLE_WAIT = "5s"
_LOCKED_OUT = ("55P03", "40P01")  # lock_not_available, deadlock_detected
_SCHEMA_LOCK = 0x6C6561726E  # an advisory lock is a number: "learn"


def engine(url: URL) -> Engine:
    """A pool of connections that notices when the database was restarted."""
    if importlib.util.find_spec("psycopg") is None:
        raise RuntimeError("a PostgreSQL store needs psycopg: pip install 'learnfleet[postgres]'")
    return create_engine(
        url.set(drivername=_DRIVER).difference_update_query(["options"]),
        pool_size=_POOL,
        max_overflow=_MORE,
        pool_timeout=_POOL_WAIT_S,
        pool_pre_ping=True,
        connect_args=connect_arguments(url),
    )


def connect_arguments(url: URL) -> dict[str, str | int]:
    """What psycopg is told beside the URL; its own `options` stay."""
    wanted = url.query.get("options", "")
    own = " ".join(f"-c{name}={value}" for name, value in _SESSION.items())
    return {
        "application_name": "learnfleet",
        "connect_timeout": _CONNECT_S,
        "keepalives_idle": 5,
        "keepalives_interval": 5,
        "keepalives_count": 2,
        "tcp_user_timeout": _DEAD_PEER_MS,
        "options": " ".join([own, *([wanted] if isinstance(wanted, str) else wanted)]).strip(),
    }


def lock_schema(connection: Connection) -> None:
    """Until the transaction ends, nobody else changes tables: two servers may start together."""
    connection.execute(text("SET LOCAL lock_timeout = '120s'"))
    connection.execute(text("SET LOCAL statement_timeout = 0"))  # of a migration nobody knows how long it takes
    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _SCHEMA_LOCK})
    connection.execute(text(f"SET LOCAL lock_timeout = '{_TABLE_WAIT}'"))


def was_locked_out(error: BaseException | None) -> bool:
    """Whether it is about a lock that somebody else had: nothing has happened, and another time it may be free."""
    return getattr(getattr(error, "orig", None), "sqlstate", None) in _LOCKED_OUT


def connect(url: URL) -> psycopg.Connection[tuple[Any, ...]]:
    """A connection of its own beside the pool, without transactions."""
    import psycopg
    from psycopg.conninfo import make_conninfo

    given = {"host": url.host, "port": url.port, "user": url.username, "password": url.password, "dbname": url.database}
    words: dict[str, Any] = {
        name: value for name, value in {**given, **url.query, **connect_arguments(url)}.items() if value
    }
    return psycopg.connect(make_conninfo("", **words), autocommit=True)
