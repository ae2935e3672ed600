"""What the control server and its workers say to each other: frozen, plain, picklable values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from learnfleet.server.domain import CheckpointPolicy, Json


class Phase(StrEnum):
    """Where a worker's run stands."""

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


class ErrorKind(StrEnum):
    """Whose fault a failure is, which decides what follows it."""

    USER = "user"  # the same request would fail again
    STALE = "stale"  # a later attempt has taken over
    INTERNAL = "internal"  # anything else: worth another attempt
    LOST = "lost"  # the worker died
    OUT_OF_MEMORY = "out_of_memory"  # of the device or the machine
    HANG = "hang"  # it lives, and does nothing or does not answer
    PREEMPTED = "preempted"  # its machine was taken away
    SERVER = "server"  # the control server failed


@dataclass(frozen=True)
class RunError:
    """Why a run failed."""

    kind: ErrorKind
    message: str


@dataclass(frozen=True)
class StartState:
    """The saved state that a run starts from."""

    path: str
    token: str  # as `state_token` makes it


@dataclass(frozen=True)
class TrainRun:
    """The work of a TRAIN job."""

    stages: tuple[Json, ...]  # as spec.stage_to_json makes them
    policy: CheckpointPolicy


@dataclass(frozen=True)
class ExamineRun:
    """The work of a job that leaves the learner as it is: INTERPRET, VALIDATE, GET_PREDS, SHOW."""

    work: Json  # as store.rows.work_to_json makes it


@dataclass(frozen=True)
class RunRequest:
    """One attempt at one job, the same for all ranks."""

    job_id: str
    attempt: int
    work: TrainRun | ExamineRun
    spec: Json  # LearnerSpec.to_json
    start: StartState | None  # None: a fresh learner
    resume_path: str | None  # a checkpoint of an earlier attempt at this job
    checkpoint_root: str
    job_dir: str
    system_metrics_every_s: float = 0.0  # 0: none
    traceparent: str = ""  # of the call that the job came with
    learner_id: str = ""
    tenant: str = ""


@dataclass(frozen=True)
class WorkerEvent:
    """An event as a worker saw it. Times are seconds since the epoch by the worker's clock."""

    id: str
    kind: str
    data: Json
    time_s: float


@dataclass(frozen=True)
class WorkerStatus:
    """What a worker answers to a poll.

    `events` are numbered from `first_event` within the run; those before were acknowledged. `beats` counts what the run
    has got done: as long as it moves, the worker does not hang.
    """

    phase: Phase
    pid: int
    first_event: int
    events: tuple[WorkerEvent, ...]
    outcome: Json | None = None  # when DONE
    error: RunError | None = None  # when FAILED
    beats: int = 0
    is_long: bool = False  # in a part of its work that is done without a beat


class WorkerBusy(RuntimeError):
    """A worker was asked for something that its present run does not allow."""


class WorkerDied(RuntimeError):
    """A worker's process is gone or does not answer. `kind` is why, as far as that is known."""

    def __init__(self, message: str, kind: ErrorKind = ErrorKind.LOST) -> None:
        super().__init__(message, kind)  # both: it crosses process boundaries
        self.kind = kind

    def __str__(self) -> str:
        return str(self.args[0])


class PlaceLost(WorkerDied):
    """The nodes that workers were to start on are gone: they have to be placed anew."""


class GroupHandle(Protocol):
    """The workers of one learner, as the job controller sees them. Methods block."""

    @property
    def generation(self) -> int: ...

    @property
    def world_size(self) -> int: ...

    def start(self, request: RunRequest) -> None:
        """Begin an attempt on all ranks. Safe to repeat. Raises WorkerDied."""

    def poll(self, job_id: str, acknowledged: tuple[int, ...]) -> tuple[WorkerStatus, ...]:
        """One status a rank; events below a rank's acknowledged number are forgotten there. Raises WorkerDied."""

    def stop(self, job_id: str) -> None:
        """Ask for an end at the next batch. Never raises for workers that are gone."""

    def write_stacks(self, job_id: str) -> None:
        """Have the workers that still can write where each of their threads stands to the job's log. Raises WorkerDied.

        Takes a few seconds at most.
        """

    def kill(self) -> None:
        """End the processes and give back what they occupy. Never raises for workers that are gone."""


Emit = Callable[[str, str, Json], None]


def state_token(checkpoint_id: str, model_sha256: str, optimizer_sha256: str) -> str:
    """Names a state by its content too: a checkpoint's name may be used again for another state."""
    return f"{checkpoint_id}:{model_sha256}:{optimizer_sha256}"
