"""What becomes of a job that has no run, or none any more, because somebody asked it to stop."""

from __future__ import annotations

from learnfleet.server.domain import TRANSITIONS, Cause, Job, JobKind, JobState
from learnfleet.server.scheduling.finish import keep_last_checkpoint
from learnfleet.server.scheduling.retries import counted, judge
from learnfleet.server.scheduling.services import Services
from learnfleet.server.scheduling.stopping import Stop
from learnfleet.server.store.base import Store
from learnfleet.server.workers.protocol import ErrorKind, RunError

_SAVED = "goes on from its last checkpoint"
# States in which a job waits until its workers have stopped, and only one that has workers.
STOPPING = {Stop.CANCEL: JobState.CANCELLING, Stop.PAUSE: JobState.PAUSING}


def settle(services: Services, job: Job, stop: Stop, why: str = "") -> Job:
    """Write it down. What a job that does not go on had reached stays, under the job's id.

    Args:
        why: the reason of a job that gives way to another.
    """
    store = services.store
    if stop in (Stop.CANCEL, Stop.DEADLINE):
        keep_last_checkpoint(store, services.config, job)
    if stop is Stop.CANCEL:
        return _through(store, job, STOPPING[stop], JobState.CANCELLED, "cancelled by request")
    if stop is Stop.DEADLINE:
        return store.transition(job.id, JobState.FAILED, _deadline_reason(job), cause=Cause.DEADLINE)
    if stop is Stop.PAUSE:
        return _through(store, job, STOPPING[stop], JobState.PAUSED, _paused_reason(job))
    if stop is Stop.PREEMPT:
        if job.state is JobState.QUEUED:
            return job
        reason, retries = why or f"gave way to another job; {_SAVED}", counted(job.retries, Cause.PREEMPTED)
        return store.transition(job.id, JobState.QUEUED, reason, cause=Cause.PREEMPTED, retries=retries)
    if job.state in (JobState.QUEUED, JobState.RESTARTING):
        return job  # it has not begun an attempt
    return store.transition(job.id, JobState.RESTARTING, f"the server was stopped; {_SAVED}", cause=Cause.SERVER)


def interrupted(store: Store, job: Job) -> Job:
    """Of a job at work whose server ended without a word, and whose workers are gone.

    Counted where the job was running, and again and again without a checkpoint between (`checkpoint_saved`): a job that
    brings servers down must not do so for ever, and one that a server's faults hit often must not fail for them.
    """
    reason = f"the server was interrupted; {_SAVED}"
    if job.state is not JobState.RUNNING:
        return store.transition(job.id, JobState.RESTARTING, reason, cause=Cause.SERVER)
    verdict = judge(RunError(ErrorKind.SERVER, reason), job.retries, job.retry_policy)
    to = JobState.FAILED if verdict.is_final else JobState.RESTARTING
    return store.transition(job.id, to, verdict.reason, cause=verdict.cause, retries=verdict.retries)


def _through(store: Store, job: Job, stopping: JobState, end: JobState, reason: str) -> Job:
    """By the state between, where the job has not been in it and does not wait for workers."""
    if stopping in TRANSITIONS[job.state]:
        store.transition(job.id, stopping, "")
    return store.transition(job.id, end, reason)


def _deadline_reason(job: Job) -> str:
    when = f"{job.deadline:%Y-%m-%d %H:%M:%S} UTC" if job.deadline else "its deadline"
    return f"was not over by {when}; load checkpoint {job.id}, if there is one, for what it had reached"


def _paused_reason(job: Job) -> str:
    if job.kind is JobKind.TRAIN:
        return "paused by request; ResumeJob lets it go on from its last checkpoint"
    return "paused by request; a job of this kind saves nothing on the way, so ResumeJob starts it anew"
