"""One job from admission to its end: start workers, poll them, and decide what follows what they say."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from threading import Event
from typing import TypeVar

from learnfleet.server.domain import Cause, Job, JobKind, JobState, NewEvent, TrainWork
from learnfleet.server.errors import StoreUnavailable, Unavailable
from learnfleet.server.failpoints import fp
from learnfleet.server.scheduling.finish import finish_examine, finish_train, keep_last_checkpoint
from learnfleet.server.scheduling.patience import GivenUp, unless
from learnfleet.server.scheduling.policy import Decision, decide
from learnfleet.server.scheduling.services import Services
from learnfleet.server.store.base import Store
from learnfleet.server.store.rows import work_to_json
from learnfleet.server.workers.journal import journals, read_journal, unread_events
from learnfleet.server.workers.protocol import (
    ErrorKind,
    ExamineRun,
    GroupHandle,
    Phase,
    RunError,
    RunRequest,
    StartState,
    TrainRun,
    WorkerDied,
    WorkerEvent,
    WorkerStatus,
    state_token,
)
from learnfleet.trainer import manifest
from learnfleet.trainer.spec import stage_to_json

_POLL_S = 0.1
_FIRST_POLL_S = 0.02  # the first batch of a warm learner comes soon
_CANCEL_TIMEOUT_S = 1.5
_SHUTDOWN_TIMEOUT_S = 10.0
_PREEMPT_TIMEOUT_S = 30.0  # the end of a batch is worth more than the other job's wait
_BLAME_TIMEOUT_S = 2.0

_T = TypeVar("_T")

_log = logging.getLogger(__name__)


@dataclass
class JobController:
    """Runs one job of the store in a thread of its own (`run`). All but EXPORT."""

    services: Services
    job_id: str
    cancel_requested: Event = field(default_factory=Event)
    shutdown_requested: Event = field(default_factory=Event)
    preempt_requested: Event = field(default_factory=Event)  # to save its state, give up its slots and queue again
    preempted_for: str = ""  # why, said before it is requested
    _restarts: int = 0
    _is_handed_back: bool = False
    _told: tuple[int, ...] = ()  # events of each rank that the store has, of this attempt
    _stop_by_s: float | None = None  # monotonic; None: nobody has asked for a stop yet

    @property
    def _store(self) -> Store:
        return self.services.store

    def run(self) -> None:
        """Until the job is over, given back to the scheduler, or the server shuts down."""
        job = self._store.get_job(self.job_id)
        adopted = job.state in (JobState.STARTING, JobState.RUNNING, JobState.CANCELLING)
        self._ingest_journals(job)
        while not (job.state.final or self._is_handed_back or self.shutdown_requested.is_set()):
            if self.cancel_requested.is_set() and not adopted:
                job = self._cancelled(job)
                break
            if not adopted:
                job = self._begin_attempt(job)
                if job.state.final:
                    break
            adopted = False
            job = self._attempt(job)
        self.services.notify(job.id)

    # -- an attempt

    def _begin_attempt(self, job: Job) -> Job:
        fp("job.admitted")
        start = job.start_checkpoint_id
        if job.attempt == 0:
            learner = self._store.get_learner(job.learner_id)
            start = learner.checkpoint_id
            if job.kind is JobKind.INTERPRET and start is None:
                why = f"learners/{job.learner_id} has not been trained, as the job before this one did not succeed"
                return self._move(job, JobState.FAILED, why)
        why = "" if job.attempt == 0 else job.reason
        written = manifest.newest_attempt(self.services.config.checkpoint_root(job.learner_id), job.id)
        # Checkpoints may be ahead of the store: a restored backup must not be fenced out by its own future.
        attempt = max(job.attempt, written) + 1
        return self._move(job, JobState.STARTING, why, attempt=attempt, start_checkpoint_id=start)

    def _attempt(self, job: Job) -> Job:
        """One attempt to its end; the job as it is then: over, or RESTARTING."""
        self._told = (0,) * job.resources.num_workers
        try:
            group = self._obtain(job)
            fp("job.workers_obtained")
            self._in_time(lambda: group.start(self._request(job)))
            fp("job.told_to_workers")
            if job.state is JobState.STARTING:
                job = self._move(job, JobState.RUNNING, "")
            return self._follow(job, group)
        except GivenUp:
            return self._failed(job, RunError(ErrorKind.LOST, "the workers did not stop in time"))
        except WorkerDied as error:
            return self._failed(job, RunError(ErrorKind.LOST, str(error)))
        except StoreUnavailable:
            raise  # the workers go on; the job is taken up again when the store is back
        except Unavailable as error:
            return self._handed_back(job, str(error))
        except Exception as error:
            _log.exception("jobs/%s, attempt %s failed in the server", job.id, job.attempt)
            return self._failed(job, RunError(ErrorKind.INTERNAL, f"{type(error).__name__}: {error}"))

    def _obtain(self, job: Job) -> GroupHandle:
        """The workers. Those that come up when the job is not wanted any more are ended. Raises GivenUp."""
        pool = self.services.pool
        return unless(self._is_to_stop, lambda: pool.obtain(job.learner_id), unwanted=lambda group: group.kill())

    def _in_time(self, call: Callable[[], _T]) -> _T:
        """What workers say, who may hang just when they are asked to stop. Raises GivenUp."""
        return unless(self._is_late, call)

    def _is_to_stop(self) -> bool:
        asked = (self.cancel_requested, self.shutdown_requested, self.preempt_requested)
        return any(event.is_set() for event in asked)

    def _is_late(self) -> bool:
        """Whether what was asked to stop has had its time for it, which begins when it is asked about first."""
        now_s = time.monotonic()
        if self.cancel_requested.is_set():
            self._stop_by_s = min(self._stop_by_s or math.inf, now_s + _CANCEL_TIMEOUT_S)
        elif self.shutdown_requested.is_set():
            self._stop_by_s = min(self._stop_by_s or math.inf, now_s + _SHUTDOWN_TIMEOUT_S)
        elif self.preempt_requested.is_set():
            self._stop_by_s = self._stop_by_s or now_s + _PREEMPT_TIMEOUT_S
        return self._stop_by_s is not None and now_s > self._stop_by_s

    def _follow(self, job: Job, group: GroupHandle) -> Job:
        is_stopping = False
        failed_at_s = 0.0
        pause_s = _FIRST_POLL_S
        while True:
            statuses = self._poll(job, group)
            self._append(job, [event for status in statuses for event in status.events], job.attempt)
            self._told = tuple(status.first_event + len(status.events) for status in statuses)
            errors = [status.error for status in statuses if status.phase is Phase.FAILED and status.error]
            if errors:
                failed_at_s = failed_at_s or time.monotonic()
                if _tells_enough(errors, statuses) or time.monotonic() - failed_at_s > _BLAME_TIMEOUT_S:
                    return self._failed(job, min(errors, key=lambda error: error.kind is not ErrorKind.USER))
            if all(status.phase is Phase.DONE for status in statuses):
                return self._done(job, statuses)
            if self.services.deposed.is_set():
                return job
            if self.shutdown_requested.is_set() and not self.services.cluster_is_local:
                return job  # the workers outlive this server, and the next one takes them over
            if not is_stopping and self._is_to_stop():
                job, is_stopping = self._stop(job, group), True
            if self._is_late():
                raise GivenUp
            if not any(status.events for status in statuses):
                pause_s = min(pause_s * 1.5, _POLL_S)
            self._wait(pause_s, is_stopping=is_stopping)

    def _poll(self, job: Job, group: GroupHandle) -> tuple[WorkerStatus, ...]:
        return self._in_time(lambda: group.poll(job.id, self._told))

    def _wait(self, pause_s: float, *, is_stopping: bool) -> None:
        if is_stopping:
            time.sleep(pause_s)
        else:
            self.cancel_requested.wait(pause_s)

    def _stop(self, job: Job, group: GroupHandle) -> Job:
        if self.cancel_requested.is_set() and job.state is JobState.RUNNING:
            job = self._move(job, JobState.CANCELLING, "stops at the next batch")
        self._in_time(lambda: group.stop(job.id))
        fp("job.stop_asked")
        return job

    # -- its end

    def _done(self, job: Job, statuses: Sequence[WorkerStatus]) -> Job:
        outcome = statuses[0].outcome
        assert outcome is not None, "a run that is done has an outcome"
        if outcome["stopped"] and self.cancel_requested.is_set():
            return self._cancelled(job)
        if outcome["stopped"]:
            return self._stopped(job)
        fp("job.done")
        finish = finish_train if job.kind is JobKind.TRAIN else finish_examine
        done = finish(self._store, job, outcome)
        self.services.notify(job.id)
        return done

    def _stopped(self, job: Job) -> Job:
        """By the server, or for another job: neither is a fault, and it goes on from where it was."""
        self._is_handed_back = True
        if self.preempt_requested.is_set() and not self.shutdown_requested.is_set():
            return self._move(job, JobState.QUEUED, self.preempted_for, cause=Cause.PREEMPTED)
        return self._move(job, JobState.RESTARTING, "the server was stopped; goes on from its last checkpoint")

    def _handed_back(self, job: Job, reason: str) -> Job:
        """No workers can be had now, which is no fault of the job's: the scheduler starts it again when they can."""
        self._is_handed_back = True
        if job.state is JobState.CANCELLING or self.cancel_requested.is_set():
            return self._cancelled(job)
        return self._move(job, JobState.RESTARTING, reason)

    def _cancelled(self, job: Job) -> Job:
        keep_last_checkpoint(self._store, self.services.config, job)
        if job.state not in (JobState.CANCELLING, JobState.QUEUED):
            job = self._move(job, JobState.CANCELLING, "")
        return self._move(job, JobState.CANCELLED, "cancelled by request")

    def _failed(self, job: Job, error: RunError) -> Job:
        # The others wait for the rank that failed, in a collective: none of them can be kept.
        self.services.pool.discard_workers(job.learner_id)
        fp("job.failed")
        folder = self.services.config.job_dir(job.learner_id, job.id)
        # Only what is new: of a job of many hours, all that it has ever told would take longer than a cancellation may.
        self._append(job, list(unread_events(folder, job.attempt, self._told)), job.attempt)
        if job.state is JobState.CANCELLING or self.cancel_requested.is_set():
            return self._cancelled(job)
        if self.shutdown_requested.is_set() or self.preempt_requested.is_set():
            return self._stopped(job)
        if decide(error, self._restarts, self.services.config.max_restarts) is Decision.FAIL:
            return self._move(job, JobState.FAILED, error.message)
        self._restarts += 1
        return self._move(job, JobState.RESTARTING, error.message)

    # -- what is asked of the workers

    def _request(self, job: Job) -> RunRequest:
        config = self.services.config
        root = config.checkpoint_root(job.learner_id)
        resume = manifest.newest_valid(root, job.id) if isinstance(job.work, TrainWork) else None
        work: TrainRun | ExamineRun
        if isinstance(job.work, TrainWork):
            work = TrainRun(tuple(stage_to_json(stage) for stage in job.work.stages), job.work.checkpoint_policy)
        else:
            work = ExamineRun(work_to_json(job.work))
        return RunRequest(
            job.id,
            job.attempt,
            work,
            self._store.get_learner(job.learner_id).spec.to_json(),
            self._start_state(job),
            str(resume.path) if resume else None,
            str(root),
            str(config.job_dir(job.learner_id, job.id)),
        )

    def _start_state(self, job: Job) -> StartState | None:
        if job.start_checkpoint_id is None:
            return None
        found = self._store.get_checkpoint(job.learner_id, job.start_checkpoint_id)
        return StartState(found.path, state_token(found.id, found.model_sha256, found.optimizer_sha256))

    # -- the store

    def _move(
        self,
        job: Job,
        to: JobState,
        reason: str,
        attempt: int | None = None,
        start_checkpoint_id: str | None = None,
        cause: Cause | None = None,
    ) -> Job:
        moved = self._store.transition(
            job.id, to, reason, attempt=attempt, start_checkpoint_id=start_checkpoint_id, cause=cause
        )
        self.services.notify(job.id)
        return moved

    def _append(self, job: Job, events: Sequence[WorkerEvent], attempt: int) -> None:
        if not events:
            return
        fp("events.fetched")
        new = [
            NewEvent(event.id, event.kind, event.data, datetime.fromtimestamp(event.time_s, UTC), attempt)
            for event in events
        ]
        self._store.append_events(job.id, new)
        self.services.notify(job.id)

    def _ingest_journals(self, job: Job) -> None:
        """Events that workers told of but nobody fetched before they, or the server, died. Repeats are dropped."""
        folder = self.services.config.job_dir(job.learner_id, job.id)
        for attempt, path in journals(Path(folder)):
            self._append(job, list(read_journal(path)), attempt)


def _tells_enough(errors: Sequence[RunError], statuses: Sequence[WorkerStatus]) -> bool:
    """Whether it is clear why a group failed. All ranks fail when one does, and the one to blame may be slower to
    say so than those that only lost it: who knows a reason of its own is waited for.
    """
    return any(error.kind is ErrorKind.USER for error in errors) or len(errors) == len(statuses)
