"""Jobs, within a transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import Connection, bindparam, delete, func, or_, select, update

from learnfleet.server.domain import Job, JobBrief, JobState, Wanted
from learnfleet.server.errors import AlreadyExists, FailedPrecondition, NotFound, ResourceExhausted
from learnfleet.server.redact import redacted
from learnfleet.server.store import schema
from learnfleet.server.store.rows import Row, brief_of, job_of
from learnfleet.server.store.sql_tables import find
from learnfleet.server.text import utf8

_UNFINISHED = [str(state) for state in JobState if not state.final]
_BRIEF = (
    *("id", "learner_id", "kind", "num_workers", "gpus_per_worker", "min_workers", "max_workers", "state", "reason"),
    *("created_at", "tenant", "priority", "wanted", "attempt", "workers", "deadline"),
)
_VERBS = {Wanted.RUN: "resume", Wanted.PAUSE: "pause", Wanted.CANCEL: "cancel"}
_IDS_A_QUERY = 500  # SQLite takes a bounded number of parameters
_KEY = ("id", "state", "reason", "wanted", "attempt", "workers")  # which job it is, and what of it changes
_UNFINISHED_KEYS = (
    select(*(schema.jobs.c[name] for name in _KEY))
    .where(schema.jobs.c.state.in_(_UNFINISHED))
    .order_by(schema.jobs.c.number)
)
_Key = tuple[object, ...]
_WAITING = [str(JobState.QUEUED), str(JobState.RESTARTING)]


def find_job(connection: Connection, job_id: str, *, for_change: bool = False) -> Job:
    """Raises NotFound."""
    row = find(connection, schema.jobs, job_id, for_change=for_change)
    if row is None:
        raise NotFound(f"jobs/{job_id}")
    return job_of(row)


def by_request_id(connection: Connection, tenant: str, request_id: str | None) -> Row | None:
    """The job that an earlier request of the tenant's with this id has made."""
    if request_id is None:
        return None
    same = (schema.jobs.c.tenant == tenant) & (schema.jobs.c.request_id == request_id)
    return connection.execute(select(schema.jobs).where(same)).mappings().first()


def same_request(earlier: Row, fingerprint: str) -> Job:
    """The earlier job, if its request was the same. Raises AlreadyExists."""
    if earlier["fingerprint"] != fingerprint:
        name = f"jobs/{earlier['id']}"
        raise AlreadyExists(name, f"request_id was used before, for {name} and another request; use a new one")
    return job_of(earlier)


class Unfinished:
    """Reads all jobs that have not ended, again and again. Of thousands in a queue few change between two looks.

    So what changes is read of all, and the rest of those alone that have changed.
    """

    def __init__(self) -> None:
        self._known: dict[_Key, JobBrief] = {}

    def read(self, connection: Connection) -> list[JobBrief]:
        """In the order of their numbers: clocks jump."""
        known, keys = self._known, [tuple(row) for row in connection.execute(_UNFINISHED_KEYS)]
        fresh = _briefs(connection, [str(key[0]) for key in keys if key not in known])
        now: dict[_Key, JobBrief] = {}
        for key in keys:
            if key in known:
                now[key] = known[key]
            elif found := fresh.get(key[0]):  # it may have ended since
                now[found[0]] = found[1]  # or have changed again
        self._known = now
        return list(now.values())


def _briefs(connection: Connection, job_ids: Sequence[str]) -> dict[object, tuple[_Key, JobBrief]]:
    """Those of these jobs that have not ended, by id, with their keys."""
    table, found = schema.jobs.c, dict[object, tuple[_Key, JobBrief]]()
    for start in range(0, len(job_ids), _IDS_A_QUERY):
        some = job_ids[start : start + _IDS_A_QUERY]
        query = select(*(table[name] for name in _BRIEF)).where(table.id.in_(some), table.state.in_(_UNFINISHED))
        for row in connection.execute(query).mappings():
            found[row["id"]] = tuple(row[name] for name in _KEY), brief_of(row)
    return found


def active(connection: Connection, learner_ids: Sequence[str]) -> dict[str, str]:
    """`Store.active_jobs`. Of each learner one row, as hundreds may wait for it."""
    table = schema.jobs.c
    found: dict[str, str] = {}
    for state in (table.state != str(JobState.QUEUED), table.state == str(JobState.QUEUED)):
        for start in range(0, len(learner_ids), _IDS_A_QUERY):
            some = [name for name in learner_ids[start : start + _IDS_A_QUERY] if name not in found]
            where = (table.learner_id.in_(some), table.state.in_(_UNFINISHED), state)
            oldest = select(func.min(table.number)).where(*where).group_by(table.learner_id)
            query = select(table.learner_id, table.id).where(table.number.in_(oldest))
            found |= {row.learner_id: row.id for row in connection.execute(query)}
    return found


def require_room(connection: Connection, tenant: str, most: int) -> None:
    """Raises ResourceExhausted if so many of the tenant's jobs have not ended."""
    table = schema.jobs.c
    query = select(func.count()).where(table.tenant == tenant, table.state.in_(_UNFINISHED))
    if connection.execute(query).scalar_one() >= most:
        told = f"tenant {tenant} has {most} jobs that have not ended, and may not have more"
        raise ResourceExhausted(f"{told}; wait for some of them, or cancel some")


def delete_rows(connection: Connection, job: Job) -> None:
    """Raises FailedPrecondition while the job has not ended."""
    if not job.state.final:
        name = f"jobs/{job.id}"
        raise FailedPrecondition(name, f"{name} is {job.state.name}; cancel it first, or wait until it has ended")
    delete_log(connection, [job.id])
    if not _is_state_needed(connection, job):
        states = schema.checkpoints.c
        mine = (states.learner_id == job.learner_id) & (states.id == job.id)
        connection.execute(delete(schema.checkpoints).where(mine))
    connection.execute(delete(schema.jobs).where(schema.jobs.c.id == job.id))


def delete_log(connection: Connection, job_ids: Sequence[str]) -> None:
    """Forget all that jobs have told, and who has heard it."""
    for start in range(0, len(job_ids), _IDS_A_QUERY):
        some = job_ids[start : start + _IDS_A_QUERY]
        for table in (schema.events, schema.cursors):
            connection.execute(delete(table).where(table.c.job_id.in_(some)))


def _is_state_needed(connection: Connection, job: Job) -> bool:
    """Whether the state that a job has left under its name is the learner's, another job's start, or to be kept."""
    learner = find(connection, schema.learners, job.learner_id)
    if learner is not None and learner["checkpoint_id"] == job.id:
        return True
    if job.id in (job.result or {}).get("kept_checkpoint_ids", ()):
        return True
    table = schema.jobs.c
    started = select(table.id).where(
        table.learner_id == job.learner_id, table.start_checkpoint_id == job.id, table.state.in_(_UNFINISHED)
    )
    return connection.execute(started.limit(1)).first() is not None


def write_wanted(connection: Connection, job: Job, wanted: Wanted, now: datetime) -> None:
    """Raises FailedPrecondition if the job has ended, or is being cancelled and something else is wanted."""
    name = f"jobs/{job.id}"
    if job.state.final:
        raise FailedPrecondition(name, f"{name} is {job.state.name} already: there is nothing to {_VERBS[wanted]}")
    if job.wanted is Wanted.CANCEL and wanted is not Wanted.CANCEL:
        raise FailedPrecondition(name, f"{name} is being cancelled: it is too late to {_VERBS[wanted]} it")
    here = schema.jobs.c.id == job.id
    connection.execute(update(schema.jobs).where(here).values(wanted=str(wanted), updated_at=now.isoformat()))


def write_reasons(connection: Connection, reasons: Mapping[str, str], now: datetime) -> None:
    """Of the jobs that still wait."""
    table = schema.jobs.c
    waits = or_(*(table.state == state for state in _WAITING))  # many rows at a time do not take an IN
    change = (
        update(schema.jobs)
        .where(table.id == bindparam("job"), waits)
        .values(reason=bindparam("why"), updated_at=now.isoformat())
    )
    connection.execute(
        change, [{"job": job_id, "why": redacted(utf8(reason))} for job_id, reason in sorted(reasons.items())]
    )
