"""What the servicers ask of the rest of the server."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from learnfleet.server.domain import Job


@dataclass(frozen=True)
class Argument:
    """An argument that a registered component takes."""

    name: str
    type: str  # int, float, str or bool
    default: Any


@dataclass(frozen=True)
class Capacity:
    """How many workers there is room for."""

    cpu_slots: int
    gpu_slots: int
    elastic: bool  # whether the cluster may grow: what does not fit now may fit later


@dataclass(frozen=True)
class PredictionResult:
    """What a model says of one picture."""

    classes: tuple[str, ...]
    probabilities: tuple[float, ...]
    model_used: str
    queue_s: float
    decode_s: float
    infer_s: float


class Catalog(Protocol):
    """What the workers' environment can do. The first answers may wait until a worker has been asked."""

    async def architectures(self) -> frozenset[str]: ...

    async def metrics(self) -> Mapping[str, tuple[Argument, ...]]: ...

    async def losses(self) -> Mapping[str, tuple[Argument, ...]]: ...

    async def capacity(self) -> Capacity: ...


class Runtime(Protocol):
    """Scheduling and inference."""

    def job_queued(self, job: Job) -> None:
        """A job was put into the store."""

    async def cancel(self, job_id: str) -> Job:
        """Begin to stop a job and return it as it then is. Raises NotFound, FailedPrecondition if it has ended."""
        ...

    def is_warm(self, learner_id: str) -> bool:
        """Whether a worker group holds the learner ready."""
        ...

    async def predict(self, model: str, image: bytes) -> PredictionResult:
        """Ask `models/...` or `learners/...` about one picture.

        Raises InvalidArgument (field `image`), NotFound, FailedPrecondition (an untrained learner), Unavailable.
        """
        ...
