"""What the servicers ask of the rest of the server."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from learnfleet.server.domain import Job, Wanted
from learnfleet.trainer.body_info import BodyInfo


@dataclass(frozen=True)
class Argument:
    """An argument that a registered component takes."""

    name: str
    type: str  # int, float, str, bool, floats (a list of numbers) or json (a list of objects)
    default: Any
    required: bool = False
    many: bool = False  # a list of numbers will do, too
    choices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Node:
    """A machine of the cluster and the slots that it offers. A worker takes one slot, of one kind.

    A worker on a GPU keeps a CPU busy as well, so `cpu_slots` are those that its GPUs leave over.
    """

    id: str
    address: str
    cpu_slots: int
    gpu_slots: int
    serving_cpu_slots: int = 0  # that it would have besides, but for processes that predict
    serving_gpu_slots: int = 0


@dataclass(frozen=True)
class Capacity:
    """How many workers there is room for: slots of jobs, and those that processes that predict have for now."""

    cpu_slots: int
    gpu_slots: int
    elastic: bool  # whether the cluster may grow: what does not fit now may fit later
    nodes: tuple[Node, ...] = ()  # empty: it is all one machine
    max_cpu_slots: int | None = None  # that it may grow to; None: nobody has said
    max_gpu_slots: int | None = None

    @property
    def machines(self) -> tuple[Node, ...]:
        return self.nodes or (Node("", "", self.cpu_slots, self.gpu_slots),)

    def most(self, *, gpu: bool) -> int | None:
        """Slots of a kind that it will ever have; None where that is not known."""
        now, grown = (self.gpu_slots, self.max_gpu_slots) if gpu else (self.cpu_slots, self.max_cpu_slots)
        if not self.elastic:
            return now
        return None if grown is None else max(now, grown)


@dataclass(frozen=True)
class Demand:
    """Slots that the cluster is to have in all, those with workers and with processes that predict too; 0: as it likes.

    A slot of CPUs is a CPU, one of GPUs a GPU and a CPU.
    """

    cpu_slots: int = 0
    gpu_slots: int = 0


@dataclass(frozen=True)
class Placed:
    """Where a job's workers would be if it were queued now, and what that would cost others."""

    nodes: tuple[str, ...] = ()  # of each worker, by rank
    gives_up: tuple[str, ...] = ()  # learners whose idle workers would be ended
    preempts: tuple[str, ...] = ()  # jobs that would have to give way
    waits_for: str = ""  # empty: it would start at once


@dataclass(frozen=True)
class FoundModel:
    """An exported model."""

    name: str  # models/{model}/versions/{version}, or the checkpoint of a learner
    folder: Path  # its export
    learner_id: str | None  # that it came from, as far as that is known


@dataclass(frozen=True)
class ExplainOptions:
    """How a prediction is to be explained."""

    method: str = "grad_cam"  # or integrated_gradients, occlusion
    class_name: str | None = None  # None: the predicted one


@dataclass(frozen=True)
class Explanation:
    """Where in a picture a score comes from."""

    overlay_png: bytes
    map: bytes  # float32, little-endian, row after row
    shape: tuple[int, int]  # rows, columns
    class_name: str
    probability: float
    predicted: str
    model_used: str = ""


class Catalog(Protocol):
    """What the workers' environment can do.

    The first answers may wait until a worker has been asked. Raises WorkersStarting where that takes long, Unavailable.
    """

    async def architectures(self) -> frozenset[str]: ...

    async def components(self, kind: str) -> Mapping[str, tuple[Argument, ...]]:
        """The registered `metrics`, `losses`, `callbacks`, `optimizers` or `transforms` with what they take."""
        ...

    async def capacity(self) -> Capacity: ...

    async def body(self, architecture: str, cut: int | None) -> BodyInfo | None:
        """What a known architecture needs of rates and weights; None where it cannot be told before it is built.

        The first question about an architecture takes seconds. Raises LearnerError where `cut` leaves no body.
        """
        ...


class Runtime(Protocol):
    """Scheduling."""

    def job_queued(self, job: Job) -> None:
        """A job was put into the store."""

    async def preview(self, job: Job) -> Placed:
        """What would become of a job if it were queued now. Raises Unavailable while there is no cluster."""
        ...

    async def ask(self, job_id: str, wanted: Wanted) -> Job:
        """Write down what somebody wants of a job, begin to do it, and return the job as it then is.

        Raises NotFound, FailedPrecondition if it has ended, or is being cancelled and something else is wanted.
        """
        ...

    async def is_warm(self, learner_id: str) -> bool:
        """Whether a worker group holds the learner ready."""
        ...

    async def release_workers(self, learner_id: str) -> None:
        """End the workers that hold the learner ready, if they have nothing to do."""

    async def find_model(self, model: str) -> FoundModel:
        """The export of `models/...`, or of the present state of `learners/...`.

        Raises NotFound, FailedPrecondition (an untrained learner).
        """
        ...

    async def explain(self, model: str, image: bytes, options: ExplainOptions) -> Explanation:
        """Where in one picture the score of a class comes from. Errors as of
        `find_model`; of a picture: InvalidArgument, field `image`; of a class: field `class_name`."""
        ...
