"""The store in an SQL database."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

from sqlalchemy import Select, Table, insert, select, update
from sqlalchemy.exc import IntegrityError

from learnfleet.server.domain import (
    Cause,
    Checkpoint,
    Job,
    JobBrief,
    JobState,
    Json,
    Learner,
    NewEvent,
    StoredEvent,
    Wanted,
)
from learnfleet.server.errors import FieldViolation, InvalidArgument, NotFound
from learnfleet.server.redact import redacted
from learnfleet.server.store import schema
from learnfleet.server.store.base import JobFilter, LogPage, Page
from learnfleet.server.store.notices import Topic
from learnfleet.server.store.rows import Row, event_of, job_of, job_row, learner_of
from learnfleet.server.store.sql_base import Clock, utc_now
from learnfleet.server.store.sql_checkpoints import checkpoints_of, find_checkpoint, find_checkpoints, write_checkpoint
from learnfleet.server.store.sql_consumers import SqlConsumers
from learnfleet.server.store.sql_datasets import SqlDatasets
from learnfleet.server.store.sql_events import append, append_first, last_sequences, log_page
from learnfleet.server.store.sql_groups import SqlGroups
from learnfleet.server.store.sql_jobs import (
    Unfinished,
    active,
    by_request_id,
    delete_rows,
    find_job,
    require_room,
    same_request,
    write_reasons,
    write_wanted,
)
from learnfleet.server.store.sql_learners import (
    delete_learner_rows,
    find_learner,
    insert_learner,
    learners_of,
    write_learner,
)
from learnfleet.server.store.sql_owners import SqlOwners
from learnfleet.server.store.sql_tables import find
from learnfleet.server.store.sql_transition import Transition, apply_transition
from learnfleet.server.text import utf8

Moved: TypeAlias = Callable[[Job, Job], None]

_REASONS_AT_ONCE = 500  # of thousands of jobs: submits want to write in between


def _unheard(before: Job, after: Job) -> None:
    """Nobody wants to know."""


class SqlStore(SqlDatasets, SqlOwners, SqlGroups, SqlConsumers):
    """The store in an SQL database: see SqlBase for how, and the modules sql_* for what."""

    def __init__(self, url: str, clock: Clock = utc_now, server_id: str = "", moved: Moved = _unheard) -> None:
        """`moved` is told of each transition that was written: the job before it and after. It must not raise."""
        super().__init__(url, clock, server_id)
        self._unfinished, self._moved = Unfinished(), moved

    # -- learners

    def create_job(
        self, job: Job, *, learner: Learner | None, fingerprint: str, most_unfinished: int | None = None
    ) -> Job:
        try:
            return self._create_job(job, learner, fingerprint, most_unfinished)
        except IntegrityError:
            # Somebody else was faster with the request id, the learner's id, or its deletion: now it is there to see.
            return self._create_job(job, learner, fingerprint, most_unfinished)

    def _create_job(self, job: Job, learner: Learner | None, fingerprint: str, most_unfinished: int | None) -> Job:
        with self._writing("create_job") as connection:
            earlier = by_request_id(connection, job.tenant, job.request_id)
            if earlier is not None:
                return same_request(earlier, fingerprint)
            if most_unfinished is not None:
                require_room(connection, job.tenant, most_unfinished)
            if learner is not None:
                insert_learner(connection, learner)
            elif find(connection, schema.learners, job.learner_id) is None:
                raise NotFound(f"learners/{job.learner_id}")
            connection.execute(insert(schema.jobs), job_row(job, fingerprint))
            state = {"state": str(job.state), "reason": job.reason}
            append_first(connection, job.id, NewEvent("state/queued", "state", state, job.created_at, job.attempt))
            self._announce(connection, Topic.QUEUED, job.id)
            return find_job(connection, job.id)

    def get_learner(self, learner_id: str) -> Learner:
        with self._reading() as connection:
            return find_learner(connection, learner_id)

    def list_learners(self, page: Page, tenant: str | None = None) -> tuple[list[Learner], str]:
        rows, token = self._page(learners_of(tenant), schema.learners, page)
        return [learner_of(row) for row in rows], token

    def update_learner(self, learner: Learner) -> Learner:
        with self._writing("update_learner") as connection:
            return write_learner(connection, learner, self._clock())

    def delete_learner(self, learner_id: str) -> None:
        with self._writing("delete_learner") as connection:
            delete_learner_rows(connection, learner_id)

    # -- checkpoints

    def put_checkpoint(self, checkpoint: Checkpoint) -> None:
        with self._writing("put_checkpoint") as connection:
            find_learner(connection, checkpoint.learner_id, for_change=True)  # nobody deletes it meanwhile
            write_checkpoint(connection, checkpoint)

    def get_checkpoint(self, learner_id: str, checkpoint_id: str) -> Checkpoint:
        with self._reading() as connection:
            return find_checkpoint(connection, learner_id, checkpoint_id)

    def get_checkpoints(self, ids: Sequence[tuple[str, str]]) -> dict[tuple[str, str], Checkpoint]:
        with self._reading() as connection:
            return find_checkpoints(connection, ids)

    def list_checkpoints(self, learner_id: str) -> list[Checkpoint]:
        with self._reading() as connection:
            find_learner(connection, learner_id)
            return checkpoints_of(connection, learner_id)

    # -- jobs

    def get_job(self, job_id: str) -> Job:
        with self._reading() as connection:
            return find_job(connection, job_id)

    def list_jobs(self, page: Page, where: JobFilter = JobFilter()) -> tuple[list[Job], str]:  # noqa: B008
        query = select(schema.jobs)
        if where.learner_id is not None:
            query = query.where(schema.jobs.c.learner_id == where.learner_id)
        if where.states:
            query = query.where(schema.jobs.c.state.in_([str(state) for state in where.states]))
        if where.kinds:
            query = query.where(schema.jobs.c.kind.in_([str(kind) for kind in where.kinds]))
        if where.tenant is not None:
            query = query.where(schema.jobs.c.tenant == where.tenant)
        rows, token = self._page(query, schema.jobs, page)
        return [job_of(row) for row in rows], token

    def active_jobs(self, learner_ids: Sequence[str]) -> dict[str, str]:
        with self._reading() as connection:
            return active(connection, learner_ids)

    def unfinished_jobs(self) -> list[JobBrief]:
        with self._reading() as connection:
            return self._unfinished.read(connection)

    def transition(
        self,
        job_id: str,
        to: JobState,
        reason: str = "",
        *,
        attempt: int | None = None,
        start_checkpoint_id: str | None = None,
        result: Json | None = None,
        learner: Learner | None = None,
        checkpoint: Checkpoint | None = None,
        cause: Cause | None = None,
        retries: Mapping[str, int] | None = None,
        workers: int | None = None,
        exact: bool | None = None,
    ) -> Job:
        now = self._clock()
        with self._writing(f"transition.{to}") as connection:
            change = Transition(
                to, redacted(utf8(reason)), attempt, start_checkpoint_id, result, cause, retries, workers, exact
            )
            before = find_job(connection, job_id, for_change=True)
            apply_transition(connection, before, change, now)
            if checkpoint is not None:
                write_checkpoint(connection, checkpoint)
            if learner is not None:
                write_learner(connection, learner, now)
            self._announce(connection, Topic.EVENTS, job_id)
            after = find_job(connection, job_id)
        self._moved(before, after)
        return after

    def set_wanted(self, job_id: str, wanted: Wanted) -> Job:
        with self._writing("set_wanted") as connection:
            write_wanted(connection, find_job(connection, job_id, for_change=True), wanted, self._clock())
            self._announce(connection, Topic.WANTED, job_id)
            return find_job(connection, job_id)

    def delete_job(self, job_id: str) -> None:
        with self._writing("delete_job") as connection:
            delete_rows(connection, find_job(connection, job_id, for_change=True))

    def set_reasons(self, reasons: Mapping[str, str]) -> None:
        ordered = sorted(reasons.items())
        for start in range(0, len(ordered), _REASONS_AT_ONCE):
            with self._writing("set_reasons") as connection:
                write_reasons(connection, dict(ordered[start : start + _REASONS_AT_ONCE]), self._clock())

    def set_tracking(self, job_id: str, tracking: Json) -> None:
        with self._writing("set_tracking") as connection:
            here = schema.jobs.c.id == job_id
            first = schema.jobs.c.tracking.is_(None)
            connection.execute(update(schema.jobs).where(here, first).values(tracking=json.dumps(tracking)))

    # -- events

    def append_events(self, job_id: str, events: Sequence[NewEvent]) -> int:
        with self._writing("append_events") as connection:
            find_job(connection, job_id, for_change=True)
            self._announce(connection, Topic.EVENTS, job_id)
            return append(connection, job_id, events)

    def read_events(self, job_id: str, after: int, limit: int = 500) -> list[StoredEvent]:
        table = schema.events
        query = (
            select(table)
            .where(table.c.job_id == job_id, table.c.sequence > after)
            .order_by(table.c.sequence)
            .limit(limit)
        )
        with self._reading() as connection:
            found = [event_of(row) for row in connection.execute(query).mappings()]
            if not found and find(connection, schema.jobs, job_id) is None:
                raise NotFound(f"jobs/{job_id}")
        return found

    def read_log(self, job_id: str, after: int, limit: int) -> LogPage:
        with self._reading() as connection:
            return log_page(connection, job_id, after, limit)

    def last_sequences(self, job_ids: Sequence[str]) -> dict[str, int]:
        with self._reading() as connection:
            return last_sequences(connection, job_ids)

    # -- how

    def _page(self, query: Select[tuple[object, ...]], table: Table, page: Page) -> tuple[list[Row], str]:
        """Newest first; the token is the number of the last row that the page before had."""
        if page.token:
            query = query.where(table.c.number < _number_of(page.token))
        with self._reading() as connection:
            ordered = query.order_by(table.c.number.desc()).limit(page.limit + 1)
            rows = list(connection.execute(ordered).mappings())
        more = len(rows) > page.limit
        rows = rows[: page.limit]
        return rows, f"n{rows[-1]['number']}" if more else ""


def _number_of(token: str) -> int:
    if token[:1] != "n" or not token[1:].isdecimal() or len(token) > 20:
        raise InvalidArgument(
            [FieldViolation("page_token", "is none that this server gave; use next_page_token as it was returned")]
        )
    return int(token[1:])
