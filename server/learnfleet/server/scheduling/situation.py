"""What `plan` looks at and what it says: plain values, so that it can be asked about what might be, too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from learnfleet.server.domain import Job, JobBrief, JobKind, Resources
from learnfleet.server.rpc.ports import Capacity, Node


class Kind(StrEnum):
    """A kind of slots. A worker takes one slot, of one kind, on one node; those of a job may be on several."""

    CPU = "CPU"
    GPU = "GPU"

    def of(self, node: Node) -> int:
        """How many a node has for jobs."""
        return node.gpu_slots if self is Kind.GPU else node.cpu_slots

    def serving(self, node: Node) -> int:
        """How many of a node's are with processes that predict."""
        return node.serving_gpu_slots if self is Kind.GPU else node.serving_cpu_slots


def kind_of(resources: Resources) -> Kind:
    return Kind.GPU if resources.gpus_per_worker else Kind.CPU


def needs_workers(job: Job | JobBrief) -> bool:
    return job.kind is not JobKind.EXPORT


@dataclass(frozen=True)
class Waiting:
    """A job that wants to start. The jobs of a situation are in the order in which they were queued."""

    job: JobBrief
    waited_s: float = 0.0


@dataclass(frozen=True)
class Running:
    """A job at work."""

    job: JobBrief
    standing: float  # only jobs of greater priority may take its place
    ran_for_s: float
    is_stopping: bool = False  # it has been asked to make room


@dataclass(frozen=True)
class Held:
    """What a learner's worker group occupies."""

    learner_id: str
    resources: Resources
    is_idle: bool
    idle_for_s: float = 0.0
    nodes: tuple[str, ...] = ()  # of each worker; empty while it is not known


@dataclass(frozen=True)
class Tenant:
    """What a tenant may have."""

    weight: float = 1.0
    quotas: Mapping[Kind, int] = field(default_factory=dict)  # slots at work at a time; a kind left out has no limit
    past_share: float = 0.0  # of the cluster, over the last hours, decayed


@dataclass(frozen=True)
class Rules:
    """Settings of the plan."""

    aging_s: float = 300.0  # a priority none of whose jobs is started for so long counts one more
    min_run_s: float = 30.0  # what has run for less is not made to give way
    preemption: bool = True
    # What a tenant has now counts so much less than what it has had: enough to tell tenants apart whose jobs start at
    # once, and little enough for their past to decide.
    ahead: float = 0.01
    exact_places: int = 100  # how many jobs in line are told the job that they wait behind


@dataclass(frozen=True)
class Situation:
    """All that decides what runs next."""

    waiting: Sequence[Waiting]
    running: Sequence[Running]
    held: Sequence[Held]
    capacity: Capacity
    tenants: Mapping[str, Tenant] = field(default_factory=dict)
    since_start_s: Mapping[int, float] = field(default_factory=dict)  # by priority; left out: none was started yet
    rules: Rules = Rules()
    paused: Mapping[str, str] = field(
        default_factory=dict
    )  # jobs that no other may train the learner before, by learner

    def tenant(self, name: str) -> Tenant:
        return self.tenants.get(name, _ANYBODY)


_ANYBODY = Tenant()


class Hold(StrEnum):
    """Why a job does not start, in one word: `Verdict.waits_for` says it to people."""

    LEARNER = "learner"  # another job of its learner comes first
    PAUSED = "paused"  # a paused one does
    TOO_LARGE = "too_large"  # the cluster, or its tenant's quota, will never be enough
    NODES = "nodes"  # the cluster has to grow first
    SERVING = "serving"  # processes that predict have what it lacks
    QUOTA = "quota"  # its tenant has all that it may have
    SLOTS = "slots"  # too few are free
    LINE = "line"  # others come first
    PREEMPTION = "preemption"  # others save their state to make room


@dataclass(frozen=True)
class Verdict:
    """What is to be done about a waiting job: start it, preempt others for it, or neither, and why."""

    job: JobBrief
    nodes: tuple[str, ...] = ()  # of each of its workers, by rank; their number is its world size
    gives_up: tuple[str, ...] = ()  # learners whose idle workers are ended for it
    preempts: tuple[str, ...] = ()  # jobs that have to stop before it can start
    waits_for: str = ""  # empty: it starts
    standing: float = 0.0  # what it starts with
    hold: Hold | None = None  # None: it starts

    @property
    def starts(self) -> bool:
        return not self.waits_for
