"""Moving a job from state to state."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, update

from learnfleet.server.domain import TRANSITIONS, Cause, IllegalTransition, Job, JobState, Json, NewEvent
from learnfleet.server.store.schema import jobs
from learnfleet.server.store.sql_events import append


@dataclass(frozen=True)
class Transition:
    """A wanted change of a job's state, with what is written beside it."""

    to: JobState
    reason: str
    attempt: int | None
    start_checkpoint_id: str | None
    result: Json | None
    cause: Cause | None = None
    retries: Mapping[str, int] | None = None
    workers: int | None = None
    exact: bool | None = None


def apply_transition(connection: Connection, job: Job, change: Transition, now: datetime) -> None:
    """Change the job's row and append the `state` event. Raises IllegalTransition."""
    stays = change.to is job.state
    if not stays and change.to not in TRANSITIONS[job.state]:
        raise IllegalTransition(job.id, job.state, change.to)
    connection.execute(update(jobs).where(jobs.c.id == job.id).values(_values(job, change, now)))
    if not stays:
        attempt = job.attempt if change.attempt is None else change.attempt
        data = {"state": str(change.to), "reason": change.reason}
        if change.cause is not None:
            data["cause"] = str(change.cause)
        # The place in the log makes the id unique: a job may restart, and be queued again, any number of times.
        event_id = f"state/{job.last_sequence + 1}/{change.to}"
        append(connection, job.id, [NewEvent(event_id, "state", data, now, attempt)])


def _values(job: Job, change: Transition, now: datetime) -> dict[str, Any]:
    values: dict[str, Any] = {"state": str(change.to), "reason": change.reason, "updated_at": now.isoformat()}
    if change.attempt is not None:
        values["attempt"] = change.attempt
    if change.start_checkpoint_id is not None:
        values["start_checkpoint_id"] = change.start_checkpoint_id
    for name in ("result", "retries"):
        if getattr(change, name) is not None:
            values[name] = json.dumps(getattr(change, name))
    for name in ("workers", "exact"):
        if getattr(change, name) is not None:
            values[name] = getattr(change, name)
    if change.cause is not None:
        values["cause"] = str(change.cause)
    if change.to is JobState.RUNNING and job.started_at is None:
        values["started_at"] = now.isoformat()
    if change.to.final and job.ended_at is None:
        values["ended_at"] = now.isoformat()
    return values
