"""Learners, within a transaction."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, Select, insert, select, update

from learnfleet.server.domain import Learner
from learnfleet.server.errors import AlreadyExists, FailedPrecondition, NotFound
from learnfleet.server.store import schema
from learnfleet.server.store.rows import learner_of, learner_row, learner_state_row
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
