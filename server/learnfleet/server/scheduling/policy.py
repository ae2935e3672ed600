"""Decisions as pure functions: what to do about a failure, and which job runs next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from learnfleet.server.domain import Job, JobBrief, JobKind, JobState, Resources
from learnfleet.server.rpc.ports import Capacity
from learnfleet.server.workers.protocol import ErrorKind, RunError


class Decision(Enum):
    """What follows a failed attempt."""

    FAIL = "fail"
    RETRY = "retry"


def decide(error: RunError, restarts_used: int, max_restarts: int) -> Decision:
    """Say what to do about a failed attempt. What the user asked for would fail again; all else is tried again."""
    if error.kind in (ErrorKind.USER, ErrorKind.STALE):
        return Decision.FAIL
    return Decision.RETRY if restarts_used < max_restarts else Decision.FAIL


@dataclass(frozen=True)
class Held:
    """What a learner's worker group occupies."""

    learner_id: str
    resources: Resources
    is_idle: bool
    idle_for_s: float = 0.0


@dataclass(frozen=True)
class Admission:
    """Whether a job may start: at once, after ending idle groups, or not yet and why."""

    job: JobBrief
    evict: tuple[str, ...] = ()  # learners whose idle workers are given up for it
    waits_for: str = ""  # empty: it may start


def needs_workers(job: Job | JobBrief) -> bool:
    return job.kind is not JobKind.EXPORT


def admit(
    waiting: Sequence[JobBrief], active: Sequence[JobBrief], held: Sequence[Held], capacity: Capacity
) -> list[Admission]:
    """Look at the waiting jobs, oldest first, and say of each whether it may start.

    One job at a time works on a learner. A job that does not fit holds back those after it that need workers too:
    small jobs would otherwise keep a large one waiting for ever.
    """
    busy_learners = {job.learner_id: job.id for job in active}
    groups = {group.learner_id: group for group in held}
    blocked_by: JobBrief | None = None
    admissions: list[Admission] = []
    for job in waiting:
        if job.learner_id in busy_learners:
            admissions.append(Admission(job, waits_for=f"waits for jobs/{busy_learners[job.learner_id]}, same learner"))
            continue
        busy_learners[job.learner_id] = job.id
        if not needs_workers(job):
            admissions.append(Admission(job))
            continue
        if blocked_by is not None:
            admissions.append(Admission(job, waits_for=f"waits behind jobs/{blocked_by.id}"))
            continue
        admission = _fit(job, groups, capacity)
        admissions.append(admission)
        if admission.waits_for:
            blocked_by = job
            continue
        for learner_id in admission.evict:
            del groups[learner_id]
        groups[job.learner_id] = Held(job.learner_id, job.resources, is_idle=False)
    return admissions


def _fit(job: JobBrief, groups: dict[str, Held], capacity: Capacity) -> Admission:
    own = groups.get(job.learner_id)
    if own is not None and own.resources == job.resources:
        return Admission(job)
    kind, total = ("GPU", capacity.gpu_slots) if job.resources.gpus_per_worker else ("CPU", capacity.cpu_slots)
    needed = job.resources.num_workers
    if needed > total:
        return Admission(job, waits_for=f"needs {needed} {kind} slots, the cluster has {total}")
    same_kind = [group for group in groups.values() if _kind(group.resources) == kind]
    free = total - sum(group.resources.num_workers for group in same_kind)
    evict: list[str] = []
    # Its own group of another size goes first, then those that have been idle longest.
    idle = sorted((g for g in same_kind if g.is_idle), key=lambda g: (g.learner_id != job.learner_id, -g.idle_for_s))
    for group in idle:
        if free >= needed and group.learner_id != job.learner_id:
            break
        evict.append(group.learner_id)
        free += group.resources.num_workers
    if free < needed:
        return Admission(job, waits_for=f"needs {needed} {kind} slots, {free} of {total} are free")
    return Admission(job, tuple(evict))


def _kind(resources: Resources) -> str:
    return "GPU" if resources.gpus_per_worker else "CPU"


def is_waiting(job: Job | JobBrief, controlled: set[str]) -> bool:
    """Whether a job wants to be started: queued, or left to restart by a server that is gone."""
    return job.id not in controlled and job.state in (JobState.QUEUED, JobState.RESTARTING)


def is_orphaned(job: Job | JobBrief, controlled: set[str]) -> bool:
    """Whether a job is at work by its state, and nobody sees to it."""
    return job.id not in controlled and job.state in (JobState.STARTING, JobState.RUNNING, JobState.CANCELLING)
