"""How room is made for a job that finds too little: by quotas, by what is leaving already, by preemption."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from learnfleet.server.domain import JobBrief
from learnfleet.server.scheduling.book import Book
from learnfleet.server.scheduling.line import Shares
from learnfleet.server.scheduling.situation import Held, Kind, Running, Situation, kind_of, needs_workers
from learnfleet.server.scheduling.victims import Victim, cheapest

_NO_LIMIT = 1_000_000_000


@dataclass(frozen=True)
class Short:
    """A job that cannot start now."""

    found: int = 0  # slots that it could have
    is_of_quota: bool = False  # it is its tenant's quota that it waits for
    gives_up: tuple[str, ...] = ()
    preempts: tuple[str, ...] = ()
    stopping: tuple[str, ...] = ()  # jobs that are making room for it already


class Room:
    """The running jobs, and what they would leave."""

    def __init__(self, situation: Situation, book: Book, shares: Shares) -> None:
        self._situation, self._book, self._shares = situation, book, shares
        self._leaving: dict[Kind, list[Victim]] = {kind: [] for kind in Kind}
        self._victims: dict[Kind, list[Victim]] = {kind: [] for kind in Kind}
        groups = {group.learner_id: group for group in situation.held}
        for item in situation.running:
            if needs_workers(item.job):
                self._add(item, groups.get(item.job.learner_id))

    def _add(self, item: Running, group: Held | None) -> None:
        rules, resources = self._situation.rules, (group or item.job).resources
        kind, slots = kind_of(resources), resources.num_workers
        self._shares.charge(item.job.tenant, kind, slots)
        victim = Victim(item.job, slots, max(item.standing, item.job.priority), item.ran_for_s, item.is_stopping)
        if item.is_stopping:
            self._leaving[kind].append(victim)
        elif rules.preemption and item.ran_for_s >= rules.min_run_s:
            self._victims[kind].append(victim)

    def quota_left(self, tenant: str, kind: Kind) -> int:
        quota = self._situation.tenant(tenant).quotas.get(kind)
        return _NO_LIMIT if quota is None else max(0, quota - self._shares.at_work(tenant, kind))

    def make(self, job: JobBrief, kind: Kind) -> Short:
        """Make room for a job of which it is known that it cannot start now.

        Only jobs of less priority are stopped, and only if it can start when they have. What it gets in this way is
        not given to others.
        """
        least = job.resources.least
        found = self._book.free_for(job.learner_id, kind) + self._book.idle_for(job.learner_id, kind)
        lacking, over = least - found, least - self.quota_left(job.tenant, kind)
        chosen = self._of_tenant(job, kind, over)
        if chosen is None:
            return Short(found, is_of_quota=True)
        freed = sum(victim.slots for victim in chosen)
        further = self._of_anybody(job, kind, lacking - freed, chosen)
        if further is None:
            self._book.claim_rest(kind)
            return Short(found)
        chosen = _needed([*chosen, *further], job, over, lacking)
        gives_up = self._book.claim_rest(kind) if lacking > 0 else ()
        return self._short(chosen, kind, found, gives_up)

    def _of_tenant(self, job: JobBrief, kind: Kind, over: int) -> list[Victim] | None:
        """Jobs whose end brings the tenant beneath its quota; None where there are not enough."""
        leaving = [victim for victim in self._leaving[kind] if victim.job.tenant == job.tenant]
        victims = [victim for victim in self._victims[kind] if victim.job.tenant == job.tenant]
        return _enough(job, over, leaving, victims)

    def _of_anybody(self, job: JobBrief, kind: Kind, lacking: int, chosen: list[Victim]) -> list[Victim] | None:
        """Jobs that leave so many slots, apart from those that are `chosen`; None where there are not enough."""
        leaving = [victim for victim in self._leaving[kind] if victim not in chosen]
        victims = [victim for victim in self._victims[kind] if victim not in chosen]
        return _enough(job, lacking, leaving, victims)

    def _short(self, chosen: list[Victim], kind: Kind, found: int, gives_up: tuple[str, ...]) -> Short:
        stopping = [victim for victim in chosen if victim in self._leaving[kind]]
        preempted = [victim for victim in chosen if victim not in stopping]
        for victim in stopping:
            self._leaving[kind].remove(victim)
        for victim in preempted:
            self._victims[kind].remove(victim)
        return Short(found, False, gives_up, _ids(preempted), _ids(stopping))


def _ids(victims: Sequence[Victim]) -> tuple[str, ...]:
    return tuple(victim.job.id for victim in victims)


def _enough(job: JobBrief, slots: int, leaving: Sequence[Victim], victims: Sequence[Victim]) -> list[Victim] | None:
    """What is leaving already, and only then others of less priority."""
    chosen: list[Victim] = []
    for victim in leaving:
        if slots <= 0:
            break
        chosen.append(victim)
        slots -= victim.slots
    if slots <= 0:
        return chosen
    found = cheapest([victim for victim in victims if victim.standing < job.priority], slots)
    return [*chosen, *found] if found else None


def _needed(chosen: list[Victim], job: JobBrief, over: int, lacking: int) -> list[Victim]:
    """Without those that could be left out: the dearest first, and what is stopping already last."""
    kept = list(chosen)
    for victim in sorted(chosen, key=lambda victim: (not victim.is_stopping, victim.cost), reverse=True):
        rest = [other for other in kept if other is not victim]
        of_tenant = sum(other.slots for other in rest if other.job.tenant == job.tenant)
        if of_tenant >= over and sum(other.slots for other in rest) >= lacking:
            kept = rest
    return kept
