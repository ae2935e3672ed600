"""Moving a job from state to state."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, update

from learnfleet.server.domain import TRANSITIONS, IllegalTransition, Job, JobState, Json, NewEvent
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


def apply_transition(connection: Connection, job: Job, change: Transition, now: datetime) -> None:
    """Change the job's row and append the `state` event. Raises IllegalTransition."""
    stays = change.to is job.state
    if not stays and change.to not in TRANSITIONS[job.state]:
        raise IllegalTransition(job.id, job.state, change.to)
    connection.execute(update(jobs).where(jobs.c.id == job.id).values(_values(job, change, now)))
    if not stays:
        attempt = job.attempt if change.attempt is None else change.attempt
        data = {"state": str(change.to), "reason": change.reason}
        # The place in the log makes the id unique: a job may restart, and be queued again, any number of times.
        event_id = f"state/{job.last_sequence + 1}/{change.to}"
        append(connection, job.id, [NewEvent(event_id, "state", data, now, attempt)])


def _values(job: Job, change: Transition, now: datetime) -> dict[str, Any]:
    values: dict[str, Any] = {"state": str(change.to), "reason": change.reason, "updated_at": now.isoformat()}
    if change.attempt is not None:
        values["attempt"] = change.attempt
    if change.start_checkpoint_id is not None:
        values["start_checkpoint_id"] = change.start_checkpoint_id
    if change.result is not None:
        values["result"] = json.dumps(change.result)
    if change.to is JobState.RUNNING and job.started_at is None:
        values["started_at"] = now.isoformat()
    if change.to.final and job.ended_at is None:
        values["ended_at"] = now.isoformat()
    return values
