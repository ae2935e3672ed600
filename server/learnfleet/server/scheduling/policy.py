"""Which job runs next, as pure functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from learnfleet.server.domain import Job, JobBrief, JobKind, JobState, Resources
from learnfleet.server.rpc.ports import Capacity


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
    lacks: tuple[str, ...] = ()  # the kinds of slots that it waits for


def needs_workers(job: Job | JobBrief) -> bool:
    return job.kind is not JobKind.EXPORT


def admit(
    waiting: Sequence[JobBrief], active: Sequence[JobBrief], held: Sequence[Held], capacity: Capacity
) -> list[Admission]:
    """Look at the waiting jobs, in their order, and say of each whether it may start.

    One job at a time works on a learner. A job that does not fit holds back those after it that need the kind of slots
    it lacks: small jobs would otherwise keep a large one waiting for ever. One that no free slot would help holds back
    nobody but those after it on its learner.
    """
    busy_learners = {job.learner_id: job.id for job in active}
    groups = {group.learner_id: group for group in held}
    first_to_lack: dict[str, JobBrief] = {}  # by kind of slots
    admissions: list[Admission] = []
    for job in waiting:
        if job.learner_id in busy_learners:
            admissions.append(Admission(job, waits_for=f"waits for jobs/{busy_learners[job.learner_id]}, same learner"))
            continue
        busy_learners[job.learner_id] = job.id
        if not needs_workers(job):
            admissions.append(Admission(job))
            continue
        why_never = _why_never(job, capacity)
        before = [first_to_lack[kind] for kind in _slots(job.resources) if kind in first_to_lack]
        if why_never or before:
            admissions.append(Admission(job, waits_for=why_never or f"waits behind jobs/{before[0].id}"))
            continue
        admission = _fit(job, groups, capacity)
        admissions.append(admission)
        if admission.waits_for:
            first_to_lack |= dict.fromkeys(admission.lacks, job)
            continue
        for learner_id in admission.evict:
            del groups[learner_id]
        groups[job.learner_id] = Held(job.learner_id, job.resources, is_idle=False)
    return admissions


def _slots(resources: Resources) -> dict[str, int]:
    """What workers occupy, by kind."""
    return {"GPU" if resources.gpus_per_worker else "CPU": resources.num_workers}


def _total(kind: str, capacity: Capacity) -> int:
    return capacity.gpu_slots if kind == "GPU" else capacity.cpu_slots


def _why_never(job: JobBrief, capacity: Capacity) -> str:
    """Why a job would not fit into the cluster as it is even if it had it for itself; "" where it would."""
    for kind, needed in _slots(job.resources).items():
        if needed > _total(kind, capacity):
            return f"needs {needed} {kind} slots, the cluster has {_total(kind, capacity)}"
    return ""


def _fit(job: JobBrief, groups: Mapping[str, Held], capacity: Capacity) -> Admission:
    own = groups.get(job.learner_id)
    if own is not None and own.resources == job.resources:
        return Admission(job)
    needed = _slots(job.resources)
    free = {kind: _total(kind, capacity) for kind in needed}
    for group in groups.values():
        _give(free, group, -1)
    evict: list[str] = []
    # Its own group of another size goes first, then those that have been idle longest.
    for group in sorted(groups.values(), key=lambda g: (g.learner_id != job.learner_id, -g.idle_for_s)):
        helps = any(free[kind] < needed[kind] for kind in free.keys() & _slots(group.resources))
        if group.is_idle and (helps or group.learner_id == job.learner_id):
            evict.append(group.learner_id)
            _give(free, group, 1)
    lacks = tuple(kind for kind in needed if free[kind] < needed[kind])
    if lacks:
        kind = lacks[0]
        why = f"needs {needed[kind]} {kind} slots, {free[kind]} of {_total(kind, capacity)} are free"
        return Admission(job, waits_for=why, lacks=lacks)
    return Admission(job, tuple(evict))


def _give(free: dict[str, int], group: Held, sign: int) -> None:
    for kind, number in _slots(group.resources).items():
        if kind in free:
            free[kind] += sign * number


def is_waiting(job: Job | JobBrief, controlled: set[str]) -> bool:
    """Whether a job wants to be started: queued, or left to restart by a server that is gone."""
    return job.id not in controlled and job.state in (JobState.QUEUED, JobState.RESTARTING)


def is_orphaned(job: Job | JobBrief, controlled: set[str]) -> bool:
    """Whether a job is at work by its state, and nobody sees to it."""
    return job.id not in controlled and job.state.at_work
