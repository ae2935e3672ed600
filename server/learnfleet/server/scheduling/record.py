"""What is written of one job while it runs: its states and events in the store, its log in its folder."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from learnfleet.server.domain import Cause, Job, JobState, NewEvent
from learnfleet.server.failpoints import fp
from learnfleet.server.scheduling.job_log import JobLog
from learnfleet.server.scheduling.services import Services
from learnfleet.server.workers.journal import journals, read_journal, unread_events
from learnfleet.server.workers.protocol import WorkerEvent

_log = logging.getLogger(__name__)


class JobRecord:
    """Used by the controller that runs the job. `job` is as the store has it."""

    def __init__(self, services: Services, job_id: str) -> None:
        self._services, self.job = services, services.store.get_job(job_id)
        self.log = JobLog(self._folder)
        self.told: tuple[int, ...] = ()  # events of each rank of the present attempt that the store has

    @property
    def _folder(self) -> Path:
        return self._services.config.job_dir(self.job.learner_id, self.job.id)

    def move(
        self,
        to: JobState,
        reason: str,
        *,
        attempt: int | None = None,
        start_checkpoint_id: str | None = None,
        cause: Cause | None = None,
        retries: Mapping[str, int] | None = None,
        workers: int | None = None,
        exact: bool | None = None,
    ) -> None:
        """As `Store.transition`. Of a job that ends all is in its log before."""
        if to.final:
            self.gather_log(at_once=True)
        job = self._services.store.transition(
            self.job.id,
            to,
            reason,
            attempt=attempt,
            start_checkpoint_id=start_checkpoint_id,
            cause=cause,
            retries=retries,
            workers=workers,
            exact=exact,
        )
        self.is_now(job)

    def is_now(self, job: Job) -> None:
        """Somebody has changed it in the store."""
        if job.state is not self.job.state:
            _log.info("jobs/%s is %s%s", job.id, job.state.name, f": {job.reason}" if job.reason else "")
        self.job = job
        self._services.notify(job.id)

    def append(self, events: Sequence[WorkerEvent]) -> None:
        """What the present attempt tells."""
        self._append(events, self.job.attempt)
        self._services.metrics.workers.heard(self.job.id, events)
        if self.job.retries.get(Cause.SERVER) and any(event.kind == "checkpoint" for event in events):
            self._forget_interruptions()

    def append_unread(self) -> None:
        """What the present attempt's workers have noted and not told any more.

        Only what is new: of a job of many hours, all that it has ever told would take longer than a cancellation may.
        """
        self.append(list(unread_events(self._folder, self.job.attempt, self.told)))

    def take_in_leftovers(self) -> None:
        """What workers told but nobody fetched before they, or the server, died. Repeats are dropped."""
        for attempt, path in journals(self._folder):
            self._append(list(read_journal(path)), attempt)
        self.log.collect_all()

    def gather_log(self, *, at_once: bool = False) -> None:
        """What the present attempt's workers have logged."""
        if self.log.collect(self.job.attempt, len(self.told), at_once=at_once):
            self._services.notify(self.job.id)

    def _append(self, events: Sequence[WorkerEvent], attempt: int) -> None:
        if not events:
            return
        fp("events.fetched")
        new = [
            NewEvent(event.id, event.kind, event.data, datetime.fromtimestamp(event.time_s, UTC), attempt)
            for event in events
        ]
        self._services.store.append_events(self.job.id, new)
        self._services.notify(self.job.id)

    def _forget_interruptions(self) -> None:
        """The job has got on since: only interruptions in a row count (`stopped.interrupted`)."""
        retries = {cause: count for cause, count in self.job.retries.items() if cause != Cause.SERVER}
        self.move(self.job.state, self.job.reason, retries=retries)
