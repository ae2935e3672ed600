"""What all tables of the store have in common."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, Table, bindparam, select
from sqlalchemy.dialects import postgresql, sqlite

from learnfleet.server.store.rows import Row


def find(connection: Connection, table: Table, row_id: str, *, for_change: bool = False) -> Row | None:
    """The row with this `id`.

    `for_change`: nobody else changes it until the transaction ends. Rows may still be added that refer to it. (Of
    SQLite the transaction has the whole database.)
    """
    return connection.execute(_by_id(table, for_change), {"row_id": row_id}).mappings().first()


@functools.cache
def _by_id(table: Table, for_change: bool) -> Select[Any]:
    query = select(table).where(table.c.id == bindparam("row_id"))
    return query.with_for_update(key_share=True) if for_change else query


def upsert(
    connection: Connection,
    table: Table,
    row: Mapping[str, Any],
    keys: Sequence[str],
    only_if: ColumnElement[bool] | None = None,
) -> None:
    """Insert the row or, where its `keys` are there, overwrite it; in the latter case `only_if` that is true."""
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    others = {name: value for name, value in row.items() if name not in keys}
    statement = insert(table).values(**row)
    connection.execute(statement.on_conflict_do_update(index_elements=list(keys), set_=others, where=only_if))
