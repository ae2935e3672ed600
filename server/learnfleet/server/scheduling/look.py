"""What the metrics are told of a look at the queue."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from learnfleet.server.domain import JobBrief
from learnfleet.server.rpc.ports import Capacity
from learnfleet.server.scheduling.situation import Held, Kind, Verdict, kind_of
from learnfleet.server.telemetry.job_metrics import Look


def look_at(
    unfinished: Sequence[JobBrief], verdicts: Sequence[Verdict], held: Sequence[Held], capacity: Capacity
) -> Look:
    at_work: Counter[str] = Counter()
    for group in held:
        if not group.is_idle:
            at_work[str(kind_of(group.resources)).lower()] += group.resources.num_workers
    slots = {str(kind).lower(): sum(kind.of(node) for node in capacity.machines) for kind in Kind}
    return Look(unfinished, [str(each.hold) for each in verdicts if each.hold is not None], slots, at_work)
