"""From what store, workers and clocks tell to a plan."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from threading import Lock
from types import MappingProxyType

from learnfleet.server.config import Config
from learnfleet.server.domain import JobBrief
from learnfleet.server.rpc.ports import Capacity, Demand
from learnfleet.server.scheduling.demand import demand
from learnfleet.server.scheduling.plan import plan
from learnfleet.server.scheduling.situation import (
    Held,
    Kind,
    Rules,
    Running,
    Situation,
    Tenant,
    Verdict,
    Waiting,
    kind_of,
)
from learnfleet.server.scheduling.usage import Usage
from learnfleet.server.store.base import Store

_HALF_LIFE_S = 3600.0  # of what tenants have had
_SAVE_USAGE_EVERY_S = 30.0
NOBODY: Mapping[str, str] = MappingProxyType({})
_OTHERS = "*"  # in quotas: each tenant that is not named

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class AtWork:
    """A job that the scheduler has started."""

    job: JobBrief
    since_s: float  # monotonic
    standing: float
    is_stopping: bool


class Planner:
    """Makes plans, and remembers what they need of the past: since when jobs wait, and who has had how much."""

    def __init__(self, config: Config, store: Store, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._store, self._clock_s = store, clock_s
        self._rules = Rules(min_run_s=config.min_run_s, preemption=config.preemption)
        self._quotas = {name: {Kind.CPU: cpus, Kind.GPU: gpus} for name, cpus, gpus in config.quotas}
        self._weights = dict(config.weights)
        self._usage: Usage | None = None
        self._shares: Mapping[str, float] = {}  # since the last count
        self._counted_s = self._saved_s = clock_s()
        self._waiting_since_s: dict[str, float] = {}
        self._last_start_s: dict[int, float] = {}
        self._lock = Lock()

    def plan(
        self,
        waiting: Sequence[JobBrief],
        at_work: Sequence[AtWork],
        held: Sequence[Held],
        capacity: Capacity,
        paused: Mapping[str, str] = NOBODY,
    ) -> list[Verdict]:
        """What to do now, see `plan`. Take note of what is done with `began`."""
        with self._lock:
            self._note_waiting(waiting)
            return plan(self._situation(waiting, at_work, held, capacity, paused))

    def preview(
        self,
        job: JobBrief,
        waiting: Sequence[JobBrief],
        at_work: Sequence[AtWork],
        held: Sequence[Held],
        capacity: Capacity,
        paused: Mapping[str, str] = NOBODY,
    ) -> Verdict:
        """What would be said of a job if it were queued now. Changes nothing."""
        with self._lock:
            verdicts = plan(self._situation([*waiting, job], at_work, held, capacity, paused))
        return next(verdict for verdict in verdicts if verdict.job.id == job.id)

    def demand(
        self, verdicts: Sequence[Verdict], at_work: Sequence[AtWork], held: Sequence[Held], capacity: Capacity
    ) -> Demand:
        """How large the cluster should be now that the plan is carried out, see `demand`."""
        jobs = [item.job for item in at_work]
        return demand(verdicts, jobs, held, capacity, lambda tenant, kind: self._quotas_of(tenant).get(kind))

    def began(self, verdict: Verdict) -> None:
        """A job was started as the plan said."""
        with self._lock:
            self._last_start_s[verdict.job.priority] = self._clock_s()

    def _note_waiting(self, waiting: Iterable[JobBrief]) -> None:
        now_s, now = self._clock_s(), datetime.now(UTC)
        before = self._waiting_since_s
        self._waiting_since_s = {
            job.id: before[job.id] if job.id in before else now_s - _waited_s(job, now) for job in waiting
        }

    def _situation(
        self,
        waiting: Sequence[JobBrief],
        at_work: Sequence[AtWork],
        held: Sequence[Held],
        capacity: Capacity,
        paused: Mapping[str, str],
    ) -> Situation:
        now_s, since_s = self._clock_s(), self._waiting_since_s
        names = {job.tenant for job in waiting} | {item.job.tenant for item in at_work}
        return Situation(
            [Waiting(job, now_s - since_s.get(job.id, now_s)) for job in waiting],
            [Running(item.job, item.standing, now_s - item.since_s, item.is_stopping) for item in at_work],
            held,
            capacity,
            {name: self._tenant(name) for name in names},
            {priority: now_s - then_s for priority, then_s in self._last_start_s.items()},
            self._rules,
            paused,
        )

    def _tenant(self, name: str) -> Tenant:
        past_share = self._usage.past_share(name) if self._usage is not None else 0.0
        return Tenant(self._weights.get(name, 1.0), self._quotas_of(name), past_share)

    def _quotas_of(self, tenant: str) -> Mapping[Kind, int]:
        return self._quotas.get(tenant, self._quotas.get(_OTHERS, {}))

    # -- use

    def count(self, at_work: Sequence[AtWork], held: Sequence[Held], capacity: Capacity) -> None:
        """Count the time since the last call by what was at work then, and take note of what is now.

        What was counted is stored now and then.
        """
        shares = _shares(at_work, held, capacity)
        with self._lock:
            now_s = self._clock_s()
            if self._usage is None:
                self._usage = Usage(_HALF_LIFE_S, self._store.usage(_HALF_LIFE_S))
            self._usage.advance(now_s - self._counted_s, self._shares)
            self._counted_s, self._shares = now_s, shares
            if now_s - self._saved_s >= _SAVE_USAGE_EVERY_S:
                self._saved_s = now_s
                self._save(self._usage)

    def _save(self, usage: Usage) -> None:
        if unsaved := usage.unsaved():
            self._store.add_usage(unsaved, _HALF_LIFE_S)
            usage.saved()


def _waited_s(job: JobBrief, now: datetime) -> float:
    """Of a job that is met waiting: one that was at work before begins to wait when it is."""
    return 0.0 if job.attempt else max(0.0, (now - job.created_at).total_seconds())


def _shares(at_work: Sequence[AtWork], held: Sequence[Held], capacity: Capacity) -> Mapping[str, float]:
    """The share of the cluster that each tenant has: of the kind of slots of which it has most."""
    groups = {group.learner_id: group for group in held}
    slots: Counter[tuple[str, Kind]] = Counter()
    for item in at_work:
        group = groups.get(item.job.learner_id)
        if group is not None:
            slots[item.job.tenant, kind_of(group.resources)] += group.resources.num_workers
    totals = {kind: sum(kind.of(node) for node in capacity.machines) for kind in Kind}
    shares: dict[str, float] = {}
    for (tenant, kind), number in slots.items():
        shares[tenant] = max(shares.get(tenant, 0.0), number / max(1, totals[kind]))
    return shares
