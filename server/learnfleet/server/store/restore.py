"""A store made of a backup, in an empty database or in the place of what is there."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Integer, MetaData, Table, func, insert, select, text, update

from learnfleet.server.store.backup import Backup, BadBackup, check_backup, columns_of, read_rows
from learnfleet.server.store.database import (
    HEAD,
    VERSION_TABLE,
    changing_tables,
    migrate,
    unmigrated_database,
)
from learnfleet.server.store.outage import told_as_unavailable
from learnfleet.server.store.schema import leases, metadata

_ROWS_AT_ONCE = 500


class NotEmpty(ValueError):
    """A database that holds something, which nobody has said may go."""


def restore(path: Path, url: str, *, replace: bool = False) -> Backup:
    """Put a backup into the database at `url`, all of it or nothing, and bring its tables up to date.

    No server may run on it: the caller sees to that. Leases are nobody's afterwards; their terms go on, so that a
    server of before is refused.

    Args:
        replace: drop what the database has.

    Raises BadBackup, NotEmpty, StoreUnavailable, OSError.
    """
    backup = check_backup(path)  # before anything is touched
    if backup.schema > HEAD:
        raise BadBackup(
            f"{path} has tables of version {backup.schema}, and this learnfleet knows {HEAD}: use a newer one"
        )
    engine = unmigrated_database(url)
    try:
        with told_as_unavailable(), changing_tables(engine) as connection:
            terms = _terms(connection)
            _empty(connection, replace)
            migrate(connection, backup.schema)
            _fill(connection, path)
            migrate(connection)
            _let_go(connection, terms)
        return backup
    finally:
        engine.dispose()


def _empty(connection: Connection, replace: bool) -> None:
    known = MetaData()
    known.reflect(connection)
    full = [table.name for table in known.sorted_tables if _has_rows(connection, table)]
    if full and not replace:
        raise NotEmpty(f"the database has rows already, in {', '.join(full)}; --replace drops what it has")
    strangers = sorted(set(known.tables) - {*metadata.tables, VERSION_TABLE})
    if strangers:
        raise NotEmpty(
            f"the database has tables that are not learnfleet's ({', '.join(strangers)}): give it one of its own"
        )
    known.drop_all(connection)


def _has_rows(connection: Connection, table: Table) -> bool:
    if table.name == VERSION_TABLE:
        return False
    return connection.execute(select(text("1")).select_from(table).limit(1)).first() is not None


def _terms(connection: Connection) -> int:
    """The last term that anybody has led in this database."""
    known = MetaData()
    known.reflect(connection)
    if "leases" not in known.tables:
        return 0
    return connection.execute(select(func.coalesce(func.max(known.tables["leases"].c.term), 0))).scalar_one()  # type: ignore[no-any-return]


def _fill(connection: Connection, path: Path) -> None:
    known = MetaData()
    known.reflect(connection)
    columns = columns_of(path)
    missing = set(columns) - set(known.tables)
    if missing:
        raise BadBackup(f"{path} has tables that its version does not have: {', '.join(sorted(missing))}")
    for name, rows in itertools.groupby(read_rows(path), lambda row: row[0]):
        table, order = known.tables[name], columns[name]
        while batch := [dict(zip(order, values, strict=True)) for _, values in itertools.islice(rows, _ROWS_AT_ONCE)]:
            connection.execute(insert(table), batch)
    for table in known.sorted_tables:
        _continue_numbers(connection, table)


def _continue_numbers(connection: Connection, table: Table) -> None:
    """PostgreSQL counts by itself, and does not see numbers that were given."""
    keys = list(table.primary_key.columns)
    if connection.dialect.name != "postgresql" or len(keys) != 1 or not isinstance(keys[0].type, Integer):
        return
    sequence = connection.execute(select(func.pg_get_serial_sequence(table.name, keys[0].name))).scalar()
    if sequence is not None:
        greatest: Any = connection.execute(select(func.max(keys[0]))).scalar()
        connection.execute(select(func.setval(sequence, greatest or 1, greatest is not None)))


def _let_go(connection: Connection, terms: int) -> None:
    """Whoever led before the backup, or since, has not the term of whoever leads next."""
    for lease in connection.execute(select(leases)).mappings().all():
        here = leases.c.name == lease["name"]
        connection.execute(update(leases).where(here).values(holder=None, term=max(lease["term"], terms)))
