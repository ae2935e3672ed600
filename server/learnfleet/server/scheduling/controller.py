"""One job from admission to its end: start workers, follow them, and decide what comes after what they say."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field

from learnfleet.server.domain import Cause, Job, JobKind, JobState, Json
from learnfleet.server.errors import StoreUnavailable, Unavailable
from learnfleet.server.failpoints import fp
from learnfleet.server.scheduling.attempt import is_of_export, next_attempt, run_request
from learnfleet.server.scheduling.finish import finish_examine, finish_train
from learnfleet.server.scheduling.following import Following, LeftRunning, RunFailed, died
from learnfleet.server.scheduling.liveness import Liveness
from learnfleet.server.scheduling.patience import GivenUp, unless
from learnfleet.server.scheduling.record import JobRecord
from learnfleet.server.scheduling.retries import judge
from learnfleet.server.scheduling.same_data import require_same_data
from learnfleet.server.scheduling.services import Services
from learnfleet.server.scheduling.stopped import STOPPING, settle
from learnfleet.server.scheduling.stopping import Stop, StopRequests, heed_wanted
from learnfleet.server.store.base import Store
from learnfleet.server.telemetry.log_fields import fields_of, log_fields
from learnfleet.server.workers.protocol import (
    ErrorKind,
    GroupHandle,
    PlaceLost,
    RunError,
    RunRequest,
    WorkerDied,
)

_STACKS_TIMEOUT_S = 5.0

_log = logging.getLogger(__name__)


@dataclass
class JobController:
    """Runs one job of the store in a thread of its own (`run`). All but EXPORT.

    What is asked of it by `stops` it does at once; what was asked of the job before (`Job.wanted`) it finds in the
    store.
    """

    services: Services
    job_id: str
    stops: StopRequests = field(default_factory=StopRequests)
    _record: JobRecord = field(init=False)
    _is_handed_back: bool = field(default=False, init=False)

    @property
    def _store(self) -> Store:
        return self.services.store

    @property
    def job(self) -> Job:
        """As the store has it."""
        return self._record.job

    def run(self) -> None:
        """Until the job is over, paused, given back to the scheduler, or the server shuts down."""
        self._record = JobRecord(self.services, self.job_id)
        try:
            with log_fields(**fields_of(self.job)):
                self._run()
        finally:
            self.services.metrics.workers.left(self.job_id)

    def _run(self) -> None:
        heed_wanted(self.job, self.stops)
        self._record.take_in_leftovers()
        if self.job.state.at_work:  # by a server before this one
            self._attempt()
        while self.job.state in (JobState.QUEUED, JobState.RESTARTING) and not self._is_handed_back:
            if self.stops.first is not None:
                self._stopped(self.stops.first)
                break
            if self._begin_attempt():
                self._attempt()
        self.services.notify(self.job_id)

    # -- an attempt

    def _begin_attempt(self) -> bool:
        """Whether there is anything to attempt."""
        fp("job.admitted")
        job, start = self.job, self.job.start_checkpoint_id
        if job.attempt == 0 and not is_of_export(job):
            start = self._store.get_learner(job.learner_id).checkpoint_id
            if job.kind is JobKind.INTERPRET and start is None:
                why = f"learners/{job.learner_id} has not been trained, as the job before this one did not succeed"
                self._record.move(JobState.FAILED, why, cause=Cause.USER)
                return False
        why = "" if job.attempt == 0 else job.reason
        attempt = next_attempt(self.services.config, job)
        self._record.move(JobState.STARTING, why, attempt=attempt, start_checkpoint_id=start)
        return True

    def _attempt(self) -> None:
        """One attempt to its end; the job is then over, paused, or to be tried again."""
        self._record.told = ()
        group: GroupHandle | None = None
        try:
            unless(self.stops.is_asked, lambda: require_same_data(self.services, self.job))
            group = self._obtain()
            fp("job.workers_obtained")
            self._record.told = (0,) * group.world_size
            outcome = self._follow(group)
            if not outcome["stopped"]:  # what changed meanwhile may have been trained on
                require_same_data(self.services, self.job)
        except LeftRunning:
            self._is_handed_back = True
        except GivenUp:
            self._given_up()
        except RunFailed as failed:
            self._failed(failed.error, group)
        except PlaceLost as error:
            self._handed_back(str(error))
        except WorkerDied as error:
            self._lost(error, group)
        except StoreUnavailable:
            raise  # the workers go on; the job is taken up again when the store is back
        except Unavailable as error:
            self._handed_back(str(error))
        except Exception as error:
            _log.exception("jobs/%s, attempt %s failed in the server", self.job_id, self.job.attempt)
            self._failed(RunError(ErrorKind.SERVER, f"{type(error).__name__}: {error}"), group)
        else:
            self._done(outcome)

    def _obtain(self) -> GroupHandle:
        """The workers. Those that come up when the job is not wanted any more are ended. Raises GivenUp."""
        pool, learner_id = self.services.pool, self.job.learner_id
        return unless(self.stops.is_asked, lambda: pool.obtain(learner_id), unwanted=lambda group: group.kill())

    def _follow(self, group: GroupHandle) -> Json:
        following = Following(
            self.job_id,
            group,
            self.stops,
            Liveness(self.services.config.hang_timeout_s),
            self._record.append,
            self._say_stopping,
            self._is_to_leave,
            self._record.gather_log,
            self._record.told,
        )
        try:
            request = run_request(self.services, self.job)
            following.in_time(lambda: group.start(request))
            fp("job.told_to_workers")
            if self.job.state is JobState.STARTING:
                self._say_running(request, group.world_size)
            return following.to_end()
        finally:
            self._record.told = following.told

    def _say_running(self, request: RunRequest, workers: int) -> None:
        # Sums over other ranks have other last bits: what was trained before would have come out otherwise.
        has_changed = request.resume_path is not None and self.job.workers not in (None, workers)
        self._record.move(JobState.RUNNING, "", workers=workers, exact=False if has_changed else None)

    def _is_to_leave(self) -> bool:
        """Whether the workers go on without this server, and the next one takes them over."""
        return self.services.deposed.is_set() or (
            self.stops.first is Stop.SHUTDOWN and not self.services.cluster_is_local
        )

    def _say_stopping(self) -> None:
        stop = self.stops.first
        state = STOPPING.get(stop) if stop is not None else None
        if state is not None and state is not self.job.state:
            self._record.move(state, "stops at the next batch")

    # -- what comes after it

    def _done(self, outcome: Json) -> None:
        if outcome["stopped"]:
            self._stopped(self.stops.first or Stop.SHUTDOWN)
            return
        fp("job.done")
        finish = finish_train if self.job.kind is JobKind.TRAIN else finish_examine
        self._record.gather_log(at_once=True)
        self._record.is_now(finish(self._store, self.job, outcome))

    def _given_up(self) -> None:
        """Asked to stop, and not done with it in time, or not even begun."""
        if self.services.deposed.is_set():
            self._is_handed_back = True
            return
        self._end_workers()
        self._stopped(self.stops.first or Stop.SHUTDOWN)

    def _handed_back(self, reason: str) -> None:
        """No workers can be had now, which is no fault of the job's: the scheduler starts it again when they can."""
        self._is_handed_back = True
        stop = self.stops.first
        if stop is None:
            self._record.move(JobState.RESTARTING, reason)
        else:
            self._stopped(stop)

    def _lost(self, error: WorkerDied, group: GroupHandle | None) -> None:
        # As with a server that dies (`stopped.interrupted`): a Ray that comes and goes must not use up what a job has.
        if isinstance(error, Unavailable) and self.job.state is JobState.STARTING:
            self._handed_back(str(error))
        else:
            self._failed(died(error), group)

    def _failed(self, error: RunError, group: GroupHandle | None) -> None:
        if self.services.deposed.is_set():
            self._is_handed_back = True
            return
        if error.kind is ErrorKind.HANG and group is not None:
            self._write_stacks(group)
        self._end_workers()
        if self._is_superseded(error):
            return
        verdict, stop = judge(error, self.job.retries, self.job.retry_policy), self.stops.first
        self._record.log.say_crashes(self.job.attempt, len(self._record.told))
        self._record.log.say(self.job.attempt, "error", f"attempt {self.job.attempt} failed: {error.message}")
        # A failure on the way to a stop is as good as the stop, but for one that a later attempt would meet, too.
        if stop is not None and (verdict.cause is not Cause.USER or stop in (Stop.CANCEL, Stop.DEADLINE)):
            self._stopped(stop)
        elif verdict.is_final:
            self._record.move(JobState.FAILED, verdict.reason, cause=verdict.cause)
        else:
            self._record.move(JobState.RESTARTING, verdict.reason, cause=verdict.cause, retries=verdict.retries)
            self.stops.wait(self.services.backoff_s(verdict.retry))

    def _end_workers(self) -> None:
        # The others wait for the rank that failed, in a collective: none of them can be kept.
        self.services.pool.discard_workers(self.job.learner_id)
        fp("job.failed")
        self._record.append_unread()

    def _is_superseded(self, error: RunError) -> bool:
        """Whether a later attempt, of another server, has the job by now."""
        if error.kind is ErrorKind.STALE and self._store.get_job(self.job_id).attempt != self.job.attempt:
            self._is_handed_back = True
        return self._is_handed_back

    def _stopped(self, stop: Stop) -> None:
        """The job has no run any more, or never had one, because of `stop`."""
        self._is_handed_back = True
        if self.services.deposed.is_set():
            return
        self._record.gather_log(at_once=True)
        self._record.is_now(settle(self.services, self.job, stop, self.stops.why(stop)))

    def _write_stacks(self, group: GroupHandle) -> None:
        """Have workers that can still speak write where their threads stand."""
        try:
            give_up_at_s = time.monotonic() + _STACKS_TIMEOUT_S
            unless(lambda: time.monotonic() > give_up_at_s, lambda: group.write_stacks(self.job_id))
        except (GivenUp, WorkerDied):
            _log.warning("the workers of jobs/%s do not tell where they stand", self.job_id)
        self._record.gather_log(at_once=True)
