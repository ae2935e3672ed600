"""Consumers of the event log: where each of them stands."""

from __future__ import annotations

from sqlalchemy import select

from learnfleet.server.store import schema
from learnfleet.server.store.sql_base import SqlBase
from learnfleet.server.store.sql_tables import upsert


class SqlConsumers(SqlBase):
    """The part of the SQL store that keeps their cursors."""

    def cursor(self, consumer: str, job_id: str) -> int:
        table = schema.cursors
        query = select(table.c.sequence).where(table.c.consumer == consumer, table.c.job_id == job_id)
        with self._reading() as connection:
            return connection.execute(query).scalar() or 0

    def advance_cursor(self, consumer: str, job_id: str, sequence: int) -> None:
        table = schema.cursors
        with self._writing("advance_cursor") as connection:
            row = {"consumer": consumer, "job_id": job_id, "sequence": sequence}
            upsert(connection, table, row, ("consumer", "job_id"), only_if=table.c.sequence < sequence)

    def jobs_behind(self, consumer: str, limit: int = 100) -> list[str]:
        jobs, cursors = schema.jobs, schema.cursors
        on = (cursors.c.job_id == jobs.c.id) & (cursors.c.consumer == consumer)
        query = (
            select(jobs.c.id)
            .select_from(jobs.outerjoin(cursors, on))
            .where((cursors.c.sequence.is_(None)) | (cursors.c.sequence < jobs.c.last_sequence))
            .order_by(jobs.c.number)
            .limit(limit)
        )
        with self._reading() as connection:
            return list(connection.execute(query).scalars())
