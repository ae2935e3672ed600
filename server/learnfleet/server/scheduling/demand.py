"""How large the cluster should be for the jobs there are: what its autoscaler is asked for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from learnfleet.server.domain import JobBrief
from learnfleet.server.rpc.ports import Capacity, Demand
from learnfleet.server.scheduling.situation import Held, Hold, Kind, Verdict, kind_of

# What waits for a quota, or for another job of its learner, would leave the nodes idle.
_BRINGS_NODES = {Hold.NODES, Hold.SERVING, Hold.SLOTS, Hold.LINE, Hold.PREEMPTION}
_MOST_NEW = 1000  # slots at a time: an autoscaler looks at each


def demand(
    verdicts: Sequence[Verdict],
    at_work: Sequence[JobBrief],
    held: Sequence[Held],
    capacity: Capacity,
    quota: Callable[[str, Kind], int | None],
) -> Demand:
    """Enough for what is at work and what waits beside it, within quotas and what the cluster may grow to.

    Nothing where nothing waits: nodes with workers on them stay by themselves.
    """
    used = _used(at_work, held)
    wanted = _wanted(verdicts, used, quota)
    if not wanted:
        return Demand()
    total = {kind: _total(kind, used, wanted, capacity) for kind in Kind}
    # The CPU that each GPU keeps to itself is one more to the autoscaler, which might take it for the one that lacks.
    kept = max(0, _now(Kind.GPU, capacity) - total[Kind.GPU]) if wanted[Kind.CPU] else 0
    return Demand(total[Kind.CPU] + kept, total[Kind.GPU])


def _used(at_work: Sequence[JobBrief], held: Sequence[Held]) -> Counter[tuple[str, Kind]]:
    """Slots at work, by tenant."""
    groups = {group.learner_id: group.resources for group in held}
    used: Counter[tuple[str, Kind]] = Counter()
    for job in at_work:
        if (resources := groups.get(job.learner_id)) is not None:
            used[job.tenant, kind_of(resources)] += resources.num_workers
    return used


def _wanted(
    verdicts: Sequence[Verdict], used: Mapping[tuple[str, Kind], int], quota: Callable[[str, Kind], int | None]
) -> Counter[Kind]:
    """Slots for the jobs that wait, as many as they would like or their tenants may have."""
    by_tenant: Counter[tuple[str, Kind]] = Counter()
    for job in (verdict.job for verdict in verdicts if verdict.hold in _BRINGS_NODES):
        key = job.tenant, kind_of(job.resources)
        may_have, slots = quota(*key), job.resources.num_workers
        if may_have is not None:
            slots = min(slots, may_have - used.get(key, 0) - by_tenant[key])
        if slots >= job.resources.least:
            by_tenant[key] += slots
    wanted: Counter[Kind] = Counter()
    for (_, kind), slots in by_tenant.items():
        wanted[kind] += slots
    return wanted


def _total(kind: Kind, used: Mapping[tuple[str, Kind], int], wanted: Mapping[Kind, int], capacity: Capacity) -> int:
    if not wanted.get(kind):
        return 0
    serving = sum(kind.serving(node) for node in capacity.machines)
    total = serving + wanted[kind] + sum(slots for (_, each), slots in used.items() if each is kind)
    most = capacity.most(gpu=kind is Kind.GPU)
    return min(total, _now(kind, capacity) + _MOST_NEW, total if most is None else most)


def _now(kind: Kind, capacity: Capacity) -> int:
    return sum(kind.of(node) + kind.serving(node) for node in capacity.machines)
