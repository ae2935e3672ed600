"""Jobs, within a transaction."""

from __future__ import annotations

from sqlalchemy import Connection, select

from learnfleet.server.domain import Job
from learnfleet.server.errors import AlreadyExists, NotFound
from learnfleet.server.store import schema
from learnfleet.server.store.rows import Row, job_of
from learnfleet.server.store.sql_tables import find


def find_job(connection: Connection, job_id: str) -> Job:
    """Raises NotFound."""
    row = find(connection, schema.jobs, job_id)
    if row is None:
        raise NotFound(f"jobs/{job_id}")
    return job_of(row)


def by_request_id(connection: Connection, request_id: str | None) -> Row | None:
    """The job that an earlier request with this id has made."""
    if request_id is None:
        return None
    return connection.execute(select(schema.jobs).where(schema.jobs.c.request_id == request_id)).mappings().first()


def same_request(earlier: Row, fingerprint: str) -> Job:
    """The earlier job, if its request was the same. Raises AlreadyExists."""
    if earlier["fingerprint"] != fingerprint:
        name = f"jobs/{earlier['id']}"
        raise AlreadyExists(name, f"request_id was used before, for {name} and another request; use a new one")
    return job_of(earlier)
