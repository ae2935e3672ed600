"""What all tables of the store have in common."""

from __future__ import annotations

from sqlalchemy import Connection, Table, select

from learnfleet.server.store.rows import Row


def find(connection: Connection, table: Table, row_id: str) -> Row | None:
    """The row with this `id`."""
    return connection.execute(select(table).where(table.c.id == row_id)).mappings().first()
