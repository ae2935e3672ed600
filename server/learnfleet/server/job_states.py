"""Where jobs stand: their states, the one table of transitions, and what moved them."""

from __future__ import annotations

from enum import StrEnum

from learnfleet.server.errors import FailedPrecondition


class JobKind(StrEnum):
    """What a job does."""

    TRAIN = "train"
    INTERPRET = "interpret"
    EXPORT = "export"
    VALIDATE = "validate"
    GET_PREDS = "get_preds"
    SHOW = "show"


class JobState(StrEnum):
    """Where a job stands."""

    QUEUED = "queued"
    STARTING = "starting"
    RUNNING = "running"
    RESTARTING = "restarting"
    PAUSING = "pausing"
    PAUSED = "paused"
    CANCELLING = "cancelling"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def final(self) -> bool:
        return not TRANSITIONS[self]

    @property
    def at_work(self) -> bool:
        """Whether a job in it has workers, or is about to."""
        return self in (JobState.STARTING, JobState.RUNNING, JobState.PAUSING, JobState.CANCELLING)


_S = JobState
TRANSITIONS: dict[JobState, frozenset[JobState]] = {
    _S.QUEUED: frozenset({_S.STARTING, _S.PAUSED, _S.CANCELLED, _S.FAILED}),
    _S.STARTING: frozenset({_S.RUNNING, _S.RESTARTING, _S.PAUSING, _S.CANCELLING, _S.FAILED, _S.QUEUED}),
    # Back to QUEUED: it gave way to a job of greater priority.
    _S.RUNNING: frozenset({_S.SUCCEEDED, _S.FAILED, _S.RESTARTING, _S.PAUSING, _S.CANCELLING, _S.QUEUED}),
    _S.RESTARTING: frozenset({_S.STARTING, _S.PAUSED, _S.CANCELLING, _S.FAILED, _S.QUEUED}),
    # A job may finish its work before it hears of the pause or the cancellation, or die of something else.
    _S.PAUSING: frozenset({_S.PAUSED, _S.SUCCEEDED, _S.FAILED, _S.CANCELLING, _S.RESTARTING}),
    _S.PAUSED: frozenset({_S.QUEUED, _S.CANCELLED, _S.FAILED}),
    _S.CANCELLING: frozenset({_S.CANCELLED, _S.SUCCEEDED, _S.FAILED}),
    _S.SUCCEEDED: frozenset(),
    _S.FAILED: frozenset(),
    _S.CANCELLED: frozenset(),
}


class Wanted(StrEnum):
    """What somebody has asked of a job, until it is carried out by the server that schedules."""

    RUN = "run"
    PAUSE = "pause"
    CANCEL = "cancel"


class Cause(StrEnum):
    """What a failure, a restart or a requeueing came from."""

    WORKER_LOST = "worker_lost"
    OUT_OF_MEMORY = "out_of_memory"
    HANG = "hang"
    PREEMPTED = "preempted"
    SERVER = "server"
    USER = "user"
    DEADLINE = "deadline"


class IllegalTransition(FailedPrecondition):
    """A job was told to move to a state that does not follow its present one."""

    reason = "ILLEGAL_TRANSITION"

    def __init__(self, job_id: str, now: JobState, wanted: JobState) -> None:
        super().__init__(f"jobs/{job_id}", f"jobs/{job_id} is {now.name} and cannot become {wanted.name}")
        self.job_id, self.now, self.wanted = job_id, now, wanted
