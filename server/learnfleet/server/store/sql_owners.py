"""Whose jobs and learners are."""

from __future__ import annotations

from sqlalchemy import Table, select

from learnfleet.server.store import schema
from learnfleet.server.store.sql_base import SqlBase


class SqlOwners(SqlBase):
    """The part of the SQL store that knows owners."""

    def tenant_of_learner(self, learner_id: str) -> str | None:
        return self._tenant_of(schema.learners, learner_id)

    def tenant_of_job(self, job_id: str) -> str | None:
        return self._tenant_of(schema.jobs, job_id)

    def _tenant_of(self, table: Table, row_id: str) -> str | None:
        with self._reading() as connection:
            tenant: str | None = connection.execute(select(table.c.tenant).where(table.c.id == row_id)).scalar()
            return tenant
