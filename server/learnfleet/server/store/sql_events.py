"""A job's event log, within a transaction."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, insert, select, update

from learnfleet.server.domain import JobState, NewEvent
from learnfleet.server.errors import NotFound
from learnfleet.server.store.base import LogPage
from learnfleet.server.store.rows import event_of, event_row
from learnfleet.server.store.schema import events, jobs
from learnfleet.server.text import utf8, utf8_json

_PROGRESS = ("batch", "epoch")
_IDS_A_QUERY = 500  # SQLite takes a bounded number of parameters
_LOG_PAGE = (
    select(events, jobs.c.state, jobs.c.last_sequence)
    .select_from(jobs.outerjoin(events, (events.c.job_id == jobs.c.id) & (events.c.sequence > bindparam("after"))))
    .where(jobs.c.id == bindparam("job"))
    .order_by(events.c.sequence)
    .limit(bindparam("limit"))
)
_LONGEST_ID = 1000  # bytes; PostgreSQL's indexes take 2.7 kB, and ids hold paths of files


def append_first(connection: Connection, job_id: str, event: NewEvent) -> None:
    """The event that a job begins with; its row counts it already. Submits come by the thousand."""
    connection.execute(insert(events), event_row(job_id, 1, dataclasses.replace(event, data=utf8_json(event.data))))


def append(connection: Connection, job_id: str, new: Sequence[NewEvent]) -> int:
    """Append those of `new` that the job does not have, and return the number of its last event.

    The job's row is locked before: its numbers are given one after the other.
    """
    here = jobs.c.id == job_id
    last = int(connection.execute(select(jobs.c.last_sequence).where(here)).scalar_one())
    fresh = _without_repeats(connection, job_id, new)
    if not fresh:
        return last
    rows = [event_row(job_id, last + nth, event) for nth, event in enumerate(fresh, start=1)]
    connection.execute(insert(events), rows)
    values: dict[str, Any] = {"last_sequence": last + len(fresh)}
    progress = [event.data for event in fresh if event.kind in _PROGRESS]
    if progress:
        values["progress"] = json.dumps(progress[-1])
    connection.execute(update(jobs).where(here).values(values))
    return last + len(fresh)


def _without_repeats(connection: Connection, job_id: str, new: Sequence[NewEvent]) -> list[NewEvent]:
    by_id: dict[str, NewEvent] = {}
    for event in new:
        # Events name files, whose names need not be UTF-8: neither a database nor a message could hold them.
        event = dataclasses.replace(event, id=_bounded(utf8(event.id)), data=utf8_json(event.data))
        by_id.setdefault(event.id, event)
    ids = list(by_id)
    for start in range(0, len(ids), _IDS_A_QUERY):
        some = ids[start : start + _IDS_A_QUERY]
        known = select(events.c.id).where(events.c.job_id == job_id, events.c.id.in_(some))
        for event_id in connection.execute(known).scalars().all():
            del by_id[event_id]
    return list(by_id.values())


def log_page(connection: Connection, job_id: str, after: int, limit: int) -> LogPage:
    """`Store.read_log`. One query, as each watcher asks it at every step."""
    rows = connection.execute(_LOG_PAGE, {"job": job_id, "after": after, "limit": limit}).mappings().all()
    if not rows:
        raise NotFound(f"jobs/{job_id}")
    found = [event_of(row) for row in rows if row["sequence"] is not None]
    last = found[-1].sequence if found else after
    return LogPage(found, JobState(rows[0]["state"]).final and last >= rows[0]["last_sequence"])


def last_sequences(connection: Connection, job_ids: Sequence[str]) -> dict[str, int]:
    """`Store.last_sequences`."""
    found: dict[str, int] = {}
    for start in range(0, len(job_ids), _IDS_A_QUERY):
        some = job_ids[start : start + _IDS_A_QUERY]
        query = select(jobs.c.id, jobs.c.last_sequence).where(jobs.c.id.in_(some))
        found |= {row.id: row.last_sequence for row in connection.execute(query)}
    return found


def _bounded(event_id: str) -> str:
    """A long id as its beginning and a digest of all of it: the same things still have the same one."""
    content = event_id.encode()
    if len(content) <= _LONGEST_ID:
        return event_id
    digest = hashlib.sha256(content).hexdigest()
    return content[: _LONGEST_ID - len(digest)].decode(errors="ignore") + digest
