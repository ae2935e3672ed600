"""Which waiting jobs start, with how many workers on which nodes; which running ones make room; why the others wait.

A pure function of plain values: what the scheduler does and what a dry run says come from the same lines.
"""

from __future__ import annotations

from collections import Counter

from learnfleet.server.domain import JobBrief, JobKind, Resources
from learnfleet.server.scheduling.book import Book
from learnfleet.server.scheduling.line import Line, Shares
from learnfleet.server.scheduling.room import Room, Short
from learnfleet.server.scheduling.situation import Hold, Kind, Situation, Verdict, Waiting, kind_of, needs_workers


def plan(situation: Situation) -> list[Verdict]:
    """Say of each waiting job whether it starts, in the order in which they are to be started.

    All of a job's workers start, or none. One job at a time works on a learner. Jobs have their turn as `Line` gives it
    to them. One that finds too few slots gets what is free as soon as it is enough: those behind it that need the same
    kind wait, as small jobs would otherwise keep a large one waiting for ever. What no free slot would help (a job
    larger than the cluster or than its tenant's quota) holds back nobody else.
    """
    return _Plan(situation).verdicts()


class _Plan:
    """One `plan`."""

    def __init__(self, situation: Situation) -> None:
        self._situation = situation
        self._book = Book(situation.capacity, situation.held)
        self._shares = Shares(situation, {kind: self._book.total(kind) for kind in Kind})
        self._room = Room(situation, self._book, self._shares)
        self._first_to_lack: dict[Kind, JobBrief] = {}
        self._first_of_tenant: dict[tuple[str, Kind], JobBrief] = {}  # to wait for the tenant's quota
        self._gets_room: dict[Kind, JobBrief] = {}  # others leave for it, and what is free is kept for it
        self._in_line: Counter[Kind] = Counter()
        self._told = 0

    def verdicts(self) -> list[Verdict]:
        said, eligible = self._without_a_turn()
        self._in_line.update(kind_of(item.job.resources) for item in eligible)
        line = Line(eligible, self._shares, self._situation.since_start_s, self._situation.rules)
        while (turn := line.pop()) is not None:
            job, standing = turn
            verdict = self._look_at(job, standing)
            said.append(verdict)
            if verdict.starts:
                line.started(job, len(verdict.nodes))
        return said

    def _without_a_turn(self) -> tuple[list[Verdict], list[Waiting]]:
        """What is to be said whoever's turn it is, and the jobs of which more has to be found out."""
        busy = {item.job.learner_id: item.job.id for item in self._situation.running}
        said: list[Verdict] = []
        eligible: list[Waiting] = []
        for item in self._situation.waiting:
            job = item.job
            before = busy.setdefault(job.learner_id, job.id)
            if before != job.id:
                said.append(Verdict(job, waits_for=f"waits for jobs/{before}, same learner", hold=Hold.LEARNER))
            elif job.kind is JobKind.TRAIN and job.learner_id in self._situation.paused:
                paused = self._situation.paused[job.learner_id]
                why = f"waits for jobs/{paused}, which is paused: resume or cancel it"
                said.append(Verdict(job, waits_for=why, hold=Hold.PAUSED))
            elif not needs_workers(job):
                said.append(Verdict(job, standing=job.priority))
            elif (outside := self._why_outside(job)) is not None:
                said.append(Verdict(job, waits_for=outside[1], hold=outside[0]))
            else:
                eligible.append(item)
        return said, eligible

    def _why_outside(self, job: JobBrief) -> tuple[Hold, str] | None:
        """Why a job would not fit if no other ran; None where it would."""
        kind, needs = kind_of(job.resources), f"needs {_slots(job.resources)}"
        least, total, quota = job.resources.least, self._book.total(kind), self._quota(job, kind)
        if quota is not None and least > quota:
            return Hold.TOO_LARGE, f"{needs}, the quota of tenant {job.tenant} is {quota}"
        if least <= total:
            return None
        capacity, serving = self._situation.capacity, self._book.serving(kind)
        most = capacity.most(gpu=kind is Kind.GPU)
        if capacity.elastic and (most is None or least + serving <= most):
            return Hold.NODES, f"{needs}, the cluster has {total} until more nodes join" + self._beside(serving)
        if least <= total + serving:
            return Hold.SERVING, f"{needs}, the cluster has {total}" + self._beside(serving)
        return Hold.TOO_LARGE, f"{needs}, the cluster has {total}" + self._largest(kind)

    def _quota(self, job: JobBrief, kind: Kind) -> int | None:
        return self._situation.tenant(job.tenant).quotas.get(kind)

    def _beside(self, serving: int) -> str:
        return f" ({serving} more are with processes that predict)" if serving else ""

    def _largest(self, kind: Kind) -> str:
        several = len(self._situation.capacity.machines) > 1
        return f" (its largest node {self._book.largest(kind)})" if several else ""

    def _look_at(self, job: JobBrief, standing: float) -> Verdict:
        kind = kind_of(job.resources)
        if (job.tenant, kind) in self._first_of_tenant:
            return Verdict(job, waits_for=self._behind_its_tenant(job, kind), hold=Hold.QUOTA)
        if kind in self._first_to_lack:
            return Verdict(job, waits_for=self._behind(self._first_to_lack[kind]), hold=Hold.LINE)
        size = self._size(job, kind)
        if size >= job.resources.least:
            return self._start(job, kind, size, standing)
        short = self._room.make(job, kind)
        why = self._why_short(job, kind, short)
        if short.preempts or short.stopping:
            self._gets_room.setdefault(kind, job)
        else:
            self._hold_back(job, kind, short)
        return Verdict(job, (), short.gives_up, short.preempts, why, hold=_hold_of(short))

    def _size(self, job: JobBrief, kind: Kind) -> int:
        """How many workers the job could have now: what it would like, or what there is. More where nobody waits."""
        wanted = job.resources
        may_have = self._room.quota_left(job.tenant, kind)
        free = self._book.free_for(job.learner_id, kind)
        idle = self._book.idle_for(job.learner_id, kind)
        is_alone = self._in_line[kind] == 1
        most = wanted.most if is_alone else wanted.num_workers
        return max(min(free, most, may_have), min(free + idle, wanted.num_workers, may_have))

    def _start(self, job: JobBrief, kind: Kind, size: int, standing: float) -> Verdict:
        own = self._book.own(job.learner_id)
        if own is not None and own.resources == Resources(size, job.resources.gpus_per_worker):
            return Verdict(job, self._book.keep(job.learner_id), standing=standing)
        nodes, given_up = self._book.take(job.learner_id, kind, size)
        return Verdict(job, nodes, given_up, standing=standing)

    def _hold_back(self, job: JobBrief, kind: Kind, short: Short) -> None:
        if short.is_of_quota:
            self._first_of_tenant[job.tenant, kind] = job
        else:
            self._first_to_lack[kind] = job

    def _why_short(self, job: JobBrief, kind: Kind, short: Short) -> str:
        leaving = [*short.preempts, *short.stopping]
        if leaving:
            return f"waits for {', '.join(f'jobs/{each}' for each in leaving[:3])} to save their state and make room"
        if short.is_of_quota:
            return self._over_quota(job, kind)
        free = f"needs {_slots(job.resources)}, {short.found} of {self._book.total(kind)} are free"
        before = self._gets_room.get(kind)
        return free if before is None else f"{free}; jobs/{before.id} gets the next ones"

    def _over_quota(self, job: JobBrief, kind: Kind) -> str:
        quota, left = self._situation.tenant(job.tenant).quotas[kind], self._room.quota_left(job.tenant, kind)
        if left == 0:
            return f"tenant {job.tenant} is at its quota of {quota} {kind} slots"
        return f"needs {_slots(job.resources)}, {left} of the {quota} of tenant {job.tenant}'s quota are left"

    def _behind_its_tenant(self, job: JobBrief, kind: Kind) -> str:
        """Small jobs do not overtake a large one that waits for the quota, either."""
        if self._room.quota_left(job.tenant, kind) < job.resources.least:
            return self._over_quota(job, kind)
        return self._behind(self._first_of_tenant[job.tenant, kind])

    def _behind(self, first: JobBrief) -> str:
        """Those far behind are told no name: it would change with every job that starts, for thousands of them."""
        self._told += 1
        if self._told > self._situation.rules.exact_places:
            return f"waits in line, more than {self._situation.rules.exact_places} jobs are before it"
        return f"waits behind jobs/{first.id} (priority {first.priority})"


def _hold_of(short: Short) -> Hold:
    if short.preempts or short.stopping:
        return Hold.PREEMPTION
    return Hold.QUOTA if short.is_of_quota else Hold.SLOTS


def _slots(resources: Resources) -> str:
    at_least = "at least " if resources.least < resources.num_workers else ""
    return f"{at_least}{resources.least} {kind_of(resources)} slots"
