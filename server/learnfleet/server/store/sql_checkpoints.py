"""Checkpoints, within a transaction."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, select, tuple_

from learnfleet.server.domain import Checkpoint
from learnfleet.server.errors import NotFound
from learnfleet.server.store.rows import checkpoint_of, checkpoint_row
from learnfleet.server.store.schema import checkpoints
from learnfleet.server.store.sql_tables import upsert

_IDS_A_QUERY = 200  # SQLite takes a bounded number of parameters, and each has two


def find_checkpoint(connection: Connection, learner_id: str, checkpoint_id: str) -> Checkpoint:
    """Raises NotFound."""
    query = select(checkpoints).where(checkpoints.c.learner_id == learner_id, checkpoints.c.id == checkpoint_id)
    row = connection.execute(query).mappings().first()
    if row is None:
        raise NotFound(f"learners/{learner_id}/checkpoints/{checkpoint_id}")
    return checkpoint_of(row)


def find_checkpoints(connection: Connection, ids: Sequence[tuple[str, str]]) -> dict[tuple[str, str], Checkpoint]:
    """`Store.get_checkpoints`."""
    found: dict[tuple[str, str], Checkpoint] = {}
    for start in range(0, len(ids), _IDS_A_QUERY):
        some = ids[start : start + _IDS_A_QUERY]
        query = select(checkpoints).where(tuple_(checkpoints.c.learner_id, checkpoints.c.id).in_(some))
        for row in connection.execute(query).mappings():
            found[row["learner_id"], row["id"]] = checkpoint_of(row)
    return found


def checkpoints_of(connection: Connection, learner_id: str) -> list[Checkpoint]:
    """`Store.list_checkpoints`."""
    order = (checkpoints.c.created_at.desc(), checkpoints.c.step.desc(), checkpoints.c.id)
    query = select(checkpoints).where(checkpoints.c.learner_id == learner_id).order_by(*order)
    return [checkpoint_of(row) for row in connection.execute(query).mappings()]


def write_checkpoint(connection: Connection, checkpoint: Checkpoint) -> None:
    """`Store.put_checkpoint`."""
    upsert(connection, checkpoints, checkpoint_row(checkpoint), ("learner_id", "id"))
