"""Builders of what `plan` looks at, and a cluster in which only plans and a clock are real."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from heapq import heappop, heappush
from itertools import count

from learnfleet.server.domain import JobBrief, JobKind, JobState, Resources
from learnfleet.server.rpc.ports import Capacity, Node
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

NOW = datetime(2030, 1, 1, tzinfo=UTC)


def a_job(
    job_id: str,
    workers: int = 1,
    priority: int = 0,
    *,
    learner: str = "",
    tenant: str = "default",
    gpus: int = 0,
    least: int | None = None,
    most: int | None = None,
    kind: JobKind = JobKind.TRAIN,
    state: JobState = JobState.QUEUED,
) -> JobBrief:
    """On a learner of its own unless one is named."""
    return JobBrief(
        id=job_id,
        learner_id=learner or job_id,
        kind=kind,
        resources=Resources(workers, gpus, least, most),
        state=state,
        reason="",
        created_at=NOW,
        tenant=tenant,
        priority=priority,
    )


def at_work(job: JobBrief, ran_for_s: float = 100.0, standing: float = -200.0, *, stopping: bool = False) -> Running:
    return Running(job, standing, ran_for_s, stopping)


def group_of(job: JobBrief, nodes: Sequence[str] = (), *, idle_for_s: float | None = None, size: int = 0) -> Held:
    resources = Resources(size or job.resources.num_workers, job.resources.gpus_per_worker)
    return Held(job.learner_id, resources, idle_for_s is not None, idle_for_s or 0.0, tuple(nodes))


def situation(
    waiting: Sequence[JobBrief],
    running: Sequence[Running] = (),
    idle: Sequence[Held] = (),
    *,
    cpus: int | Mapping[str, int] = 4,
    gpus: int | Mapping[str, int] = 0,
    tenants: Mapping[str, Tenant] | None = None,
    rules: Rules = Rules(),  # noqa: B008
    since_start_s: Mapping[int, float] | None = None,
    waited_s: float = 0.0,
    room: Capacity | None = None,
) -> Situation:
    """Running jobs hold the workers that they ask for. Nodes by name, or the whole cluster as one, or `room`."""
    return Situation(
        [Waiting(job, waited_s) for job in waiting],
        running,
        [*(group_of(item.job) for item in running), *idle],
        room or capacity(cpus, gpus),
        tenants or {},
        since_start_s or {},
        rules,
    )


def capacity(cpus: int | Mapping[str, int], gpus: int | Mapping[str, int] = 0) -> Capacity:
    if isinstance(cpus, int) and isinstance(gpus, int):
        return Capacity(cpus, gpus, elastic=False)
    by_cpu = cpus if isinstance(cpus, Mapping) else {}
    by_gpu = gpus if isinstance(gpus, Mapping) else {}
    nodes = tuple(Node(name, name, by_cpu.get(name, 0), by_gpu.get(name, 0)) for name in {**by_cpu, **by_gpu})
    return Capacity(sum(by_cpu.values()), sum(by_gpu.values()), elastic=False, nodes=nodes)


@dataclass
class Simulation:
    """Jobs that run for as long as they are said to, on a cluster whose time is a number."""

    cluster: Capacity
    tenants: Mapping[str, Tenant] = field(default_factory=dict)
    rules: Rules = field(default_factory=Rules)
    half_life_s: float = 3600.0
    tick_s: float = 10.0

    now_s: float = 0.0
    started_at_s: dict[str, float] = field(default_factory=dict)  # the first time
    ended_at_s: dict[str, float] = field(default_factory=dict)
    slot_seconds: Counter[str] = field(default_factory=Counter)  # by tenant
    preemptions: Counter[str] = field(default_factory=Counter)  # by job

    def __post_init__(self) -> None:
        self.usage = Usage(self.half_life_s)
        self._waiting: dict[str, JobBrief] = {}
        self._left_s: dict[str, float] = {}
        self._running: dict[str, tuple[Running, float, int]] = {}
        self._last_start_s: dict[int, float] = {}
        self._queued_at_s: dict[str, float] = {}
        self._ends: list[tuple[float, int, str]] = []
        self._numbers = count()

    def queue(self, job: JobBrief, seconds: float) -> None:
        self._left_s[job.id] = seconds
        self._wait(job)

    def _wait(self, job: JobBrief) -> None:
        self._queued_at_s[job.id] = self.now_s
        self._waiting[job.id] = job

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    def step(self) -> list[Verdict]:
        """Look once, then let a tick's time go by."""
        verdicts = plan(self.situation())
        for verdict in verdicts:
            for job_id in verdict.preempts:
                self._preempt(job_id)
            if verdict.starts:
                self._start(verdict)
        self._pass(self.tick_s)
        return verdicts

    def situation(self) -> Situation:
        waiting = [Waiting(job, self.now_s - self._queued_at_s[key]) for key, job in self._waiting.items()]
        running = [replace(item, ran_for_s=self.now_s - since) for item, since, _ in self._running.values()]
        held = [
            Held(item.job.learner_id, Resources(size, item.job.resources.gpus_per_worker), is_idle=False)
            for item, _, size in self._running.values()
        ]
        names = {job.tenant for job in self._waiting.values()} | set(self.tenants)
        tenants = {
            name: replace(self.tenants.get(name, Tenant()), past_share=self.usage.past_share(name)) for name in names
        }
        since = {priority: self.now_s - then for priority, then in self._last_start_s.items()}
        return Situation(waiting, running, held, self.cluster, tenants, since, self.rules)

    def _start(self, verdict: Verdict) -> None:
        job = verdict.job
        del self._waiting[job.id]
        self._last_start_s[job.priority] = self.now_s
        self.started_at_s.setdefault(job.id, self.now_s)
        self._running[job.id] = (Running(job, verdict.standing, 0.0), self.now_s, len(verdict.nodes))
        heappush(self._ends, (self.now_s + self._left_s[job.id], next(self._numbers), job.id))

    def _preempt(self, job_id: str) -> None:
        item, since, _ = self._running.pop(job_id)
        self._left_s[job_id] -= self.now_s - since
        self._ends = [entry for entry in self._ends if entry[2] != job_id]
        self._ends.sort()
        self.preemptions[job_id] += 1
        self._wait(item.job)

    def _pass(self, seconds: float) -> None:
        until_s = self.now_s + seconds
        while self._ends and self._ends[0][0] <= until_s:
            ends_s, _, job_id = heappop(self._ends)
            self._charge(ends_s - self.now_s)
            self.now_s = ends_s
            del self._running[job_id]
            self.ended_at_s[job_id] = ends_s
        self._charge(until_s - self.now_s)
        self.now_s = until_s

    def _charge(self, seconds: float) -> None:
        slots: Counter[str] = Counter()
        shares: defaultdict[str, float] = defaultdict(float)
        for item, _, size in self._running.values():
            slots[item.job.tenant] += size
            total = self.cluster.gpu_slots if kind_of(item.job.resources) is Kind.GPU else self.cluster.cpu_slots
            shares[item.job.tenant] += size / total
        for tenant, number in slots.items():
            self.slot_seconds[tenant] += number * seconds
        self.usage.advance(seconds, shares)
