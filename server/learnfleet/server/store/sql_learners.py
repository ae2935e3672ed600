"""Learners, within a transaction."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, Select, delete, insert, select, update

from learnfleet.server.domain import JobState, Learner
from learnfleet.server.errors import AlreadyExists, FailedPrecondition, NotFound, WorkersEnding
from learnfleet.server.store import schema
from learnfleet.server.store.rows import learner_of, learner_row, learner_state_row
from learnfleet.server.store.sql_jobs import delete_log
from learnfleet.server.store.sql_tables import find


def find_learner(connection: Connection, learner_id: str, *, for_change: bool = False) -> Learner:
    """Raises NotFound."""
    row = find(connection, schema.learners, learner_id, for_change=for_change)
    if row is None:
        raise NotFound(f"learners/{learner_id}")
    return learner_of(row)


def learners_of(tenant: str | None) -> Select[tuple[object, ...]]:
    """All of a tenant, or (None) of everybody."""
    query = select(schema.learners)
    return query if tenant is None else query.where(schema.learners.c.tenant == tenant)


def insert_learner(connection: Connection, learner: Learner) -> None:
    """Raises AlreadyExists."""
    if find(connection, schema.learners, learner.id) is not None:
        name = f"learners/{learner.id}"
        raise AlreadyExists(name, f"{name} exists; choose another learner_id, or train it by its name")
    connection.execute(insert(schema.learners), learner_row(learner))


def write_learner(connection: Connection, learner: Learner, now: datetime) -> Learner:
    """`Store.update_learner`."""
    table = schema.learners
    present = find_learner(connection, learner.id, for_change=True)
    if present.revision != learner.revision:
        name = f"learners/{learner.id}"
        raise FailedPrecondition(name, f"{name} has changed since it was read; read it again and repeat")
    values = {**learner_state_row(learner), "revision": learner.revision + 1, "updated_at": now.isoformat()}
    connection.execute(update(table).where(table.c.id == learner.id).values(values))
    return find_learner(connection, learner.id)


def delete_learner_rows(connection: Connection, learner_id: str) -> None:
    """`Store.delete_learner`."""
    learners, jobs, groups = schema.learners, schema.jobs, schema.groups
    # Stronger than for a change: jobs and checkpoints that refer to it wait, and then do not find it.
    held = connection.execute(select(learners.c.id).where(learners.c.id == learner_id).with_for_update()).first()
    name = f"learners/{learner_id}"
    if held is None:
        raise NotFound(name)
    found = connection.execute(select(jobs.c.id, jobs.c.state).where(jobs.c.learner_id == learner_id)).all()
    unfinished = [job_id for job_id, state in found if not JobState(state).final]
    if unfinished:
        more = f" and {len(unfinished) - 1} more" if len(unfinished) > 1 else ""
        what = f"jobs/{unfinished[0]}{more} of {name} have not ended; wait for them or cancel them"
        raise FailedPrecondition(name, what)
    if connection.execute(select(groups.c.learner_id).where(groups.c.learner_id == learner_id)).first() is not None:
        raise WorkersEnding(f"the workers of {name} are still being ended")
    delete_log(connection, [job_id for job_id, _ in found])
    for table in (jobs, schema.checkpoints):
        connection.execute(delete(table).where(table.c.learner_id == learner_id))
    connection.execute(delete(learners).where(learners.c.id == learner_id))
