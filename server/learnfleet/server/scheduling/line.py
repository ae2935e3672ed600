"""The order in which waiting jobs have their turn."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from heapq import heapify, heappop, heapreplace

from learnfleet.server.domain import JobBrief, JobState
from learnfleet.server.scheduling.situation import Kind, Rules, Situation, Waiting, kind_of


class Shares:
    """How much of the cluster each tenant has, now and lately, for its weight."""

    def __init__(self, situation: Situation, totals: Mapping[Kind, int]) -> None:
        self._situation, self._totals = situation, totals
        self._at_work: Counter[tuple[str, Kind]] = Counter()
        self._scores: dict[str, float] = {}

    def at_work(self, tenant: str, kind: Kind) -> int:
        """Slots of the tenant's jobs that run or have been given them in this plan."""
        return self._at_work[tenant, kind]

    def charge(self, tenant: str, kind: Kind, slots: int) -> None:
        self._at_work[tenant, kind] += slots
        self._scores.pop(tenant, None)

    def score(self, tenant: str) -> float:
        """Who has least of it comes first: the share of that kind of slots of which the tenant has most."""
        if tenant not in self._scores:
            rights = self._situation.tenant(tenant)
            now = max(self._at_work[tenant, kind] / max(1, self._totals[kind]) for kind in Kind)
            self._scores[tenant] = (now * self._situation.rules.ahead + rights.past_share) / rights.weight
        return self._scores[tenant]


@dataclass
class _Level:
    """The waiting jobs of one priority."""

    priority: int
    standing: float
    restarting: deque[JobBrief] = field(default_factory=deque)
    queues: dict[str, deque[JobBrief]] = field(default_factory=dict)  # by tenant
    turns: list[tuple[float, int, str]] = field(default_factory=list)  # a heap: score, place, tenant

    def add(self, job: JobBrief) -> None:
        if job.state is JobState.RESTARTING:
            self.restarting.append(job)
            return
        queue = self.queues.get(job.tenant)
        if queue is None:
            queue = self.queues[job.tenant] = deque()
            self.turns.append((0.0, len(self.turns), job.tenant))
        queue.append(job)

    def pop(self, shares: Shares) -> JobBrief | None:
        """What was interrupted goes on first. Then tenants by their shares, each tenant's jobs as they were queued."""
        if self.restarting:
            return self.restarting.popleft()
        while self.turns:
            score, place, tenant = self.turns[0]
            if score != (now := shares.score(tenant)):  # shares only grow: what is last now was not first before
                heapreplace(self.turns, (now, place, tenant))
                continue
            queue = self.queues[tenant]
            job = queue.popleft()
            if not queue:
                heappop(self.turns)
            return job
        return None


class Line:
    """Gives out waiting jobs: by priority, then by share, then as they were queued.

    A priority none of whose jobs was started for `aging_s` counts as one more, for twice that as two more, and so on:
    so even the least has a job started now and then. With that it counts as itself again. That it is priorities that
    age and not jobs keeps the tenants' shares as they should be: whoever has queued much long ago gains nothing by it.
    """

    def __init__(
        self, waiting: Iterable[Waiting], shares: Shares, since_start_s: Mapping[int, float], rules: Rules
    ) -> None:
        self._shares = shares
        self._levels: dict[int, _Level] = {}
        longest: dict[int, float] = {}
        for item in waiting:
            priority = item.job.priority
            level = self._levels.get(priority)
            if level is None:
                level = self._levels[priority] = _Level(priority, priority)
                longest[priority] = 0.0
            level.add(item.job)
            longest[priority] = max(longest[priority], item.waited_s)
        for priority, level in self._levels.items():
            starved_s = min(longest[priority], since_start_s.get(priority, longest[priority]))
            level.standing = priority + starved_s / rules.aging_s
            for turn, (_, place, tenant) in enumerate(level.turns):
                level.turns[turn] = (shares.score(tenant), place, tenant)
            heapify(level.turns)
        self._order = [(-level.standing, -priority) for priority, level in self._levels.items()]
        heapify(self._order)

    def pop(self) -> tuple[JobBrief, float] | None:
        """The next job and what it stands for, which is its priority or more."""
        while self._order:
            standing, priority = self._order[0]
            level = self._levels[-priority]
            if -standing != level.standing:
                heapreplace(self._order, (-level.standing, priority))
                continue
            job = level.pop(self._shares)
            if job is not None:
                return job, level.standing
            heappop(self._order)
        return None

    def started(self, job: JobBrief, workers: int) -> None:
        """Take note that the job was given its slots."""
        self._shares.charge(job.tenant, kind_of(job.resources), workers)
        level = self._levels[job.priority]
        level.standing = level.priority
