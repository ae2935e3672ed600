"""Jobs, learners, checkpoints and events as values, and the one table of job transitions."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, TypeAlias

from learnfleet.server.errors import FailedPrecondition
from learnfleet.trainer.keep_policy import KeepBest, KeepPolicy
from learnfleet.trainer.spec import Component, LearnerSpec, Stage
from learnfleet.trainer.spec_base import Spec

Json: TypeAlias = dict[str, Any]


class JobKind(StrEnum):
    """What a job does."""

    TRAIN = "train"
    INTERPRET = "interpret"
    EXPORT = "export"
    VALIDATE = "validate"
    GET_PREDS = "get_preds"
    SHOW = "show"


class JobState(StrEnum):
    """Where a job stands."""

    QUEUED = "queued"
    STARTING = "starting"
    RUNNING = "running"
    RESTARTING = "restarting"
    CANCELLING = "cancelling"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def final(self) -> bool:
        return not TRANSITIONS[self]


TRANSITIONS: dict[JobState, frozenset[JobState]] = {
    JobState.QUEUED: frozenset({JobState.STARTING, JobState.CANCELLED, JobState.FAILED}),
    JobState.STARTING: frozenset(
        {JobState.RUNNING, JobState.RESTARTING, JobState.CANCELLING, JobState.FAILED, JobState.QUEUED}
    ),
    JobState.RUNNING: frozenset({JobState.SUCCEEDED, JobState.FAILED, JobState.RESTARTING, JobState.CANCELLING}),
    JobState.RESTARTING: frozenset({JobState.STARTING, JobState.CANCELLING, JobState.FAILED}),
    # A job may finish its work before it hears of the cancellation.
    JobState.CANCELLING: frozenset({JobState.CANCELLED, JobState.SUCCEEDED, JobState.FAILED}),
    JobState.SUCCEEDED: frozenset(),
    JobState.FAILED: frozenset(),
    JobState.CANCELLED: frozenset(),
}


class IllegalTransition(FailedPrecondition):
    """A job was told to move to a state that does not follow its present one."""

    reason = "ILLEGAL_TRANSITION"

    def __init__(self, job_id: str, now: JobState, wanted: JobState) -> None:
        super().__init__(f"jobs/{job_id}", f"jobs/{job_id} is {now.name} and cannot become {wanted.name}")
        self.job_id, self.now, self.wanted = job_id, now, wanted


@dataclass(frozen=True)
class Resources:
    """What a job runs on: `num_workers` processes, placed together or not at all."""

    num_workers: int = 1
    gpus_per_worker: int = 0


@dataclass(frozen=True)
class CheckpointPolicy(Spec):
    """How often a training job saves its state, apart from the end of every epoch, and what of it stays."""

    every_s: float = 30.0
    every_steps: int | None = None
    keep_last: int = 2  # while it runs
    keep_best: KeepBest | None = None  # and when it is over
    keep_every: int | None = None  # epochs; as keep_best

    @property
    def keep(self) -> KeepPolicy:
        return KeepPolicy(self.keep_last, self.keep_best, self.keep_every)


@dataclass(frozen=True)
class TrainWork:
    """The work of a TRAIN job."""

    stages: tuple[Stage, ...]
    checkpoint_policy: CheckpointPolicy = field(default_factory=CheckpointPolicy)


@dataclass(frozen=True)
class InterpretWork:
    """The work of an INTERPRET job."""

    top_losses: int = 9
    min_confused: int = 1
    dataset: str = "valid"
    tta: bool = False


@dataclass(frozen=True)
class ExportWork:
    """The work of an EXPORT job."""

    model_id: str
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True)
class ValidateWork:
    """The work of a VALIDATE job."""

    dataset: str = "valid"  # a DatasetType in lower case
    metrics: tuple[Component, ...] | None = None  # None: the learner's


@dataclass(frozen=True)
class PredsWork:
    """The work of a GET_PREDS job."""

    dataset: str = "valid"
    with_loss: bool = False
    n_batch: int | None = None
    tta_beta: float | None = None  # None: no test-time augmentation
    tta_scale: float = 1.35


@dataclass(frozen=True)
class ShowWork:
    """The work of a SHOW job."""

    what: str = "batch"  # or "results"
    dataset: str = "train"
    rows: int = 5


# Work on a learner's state that leaves it as it is.
ExamineWork: TypeAlias = InterpretWork | ValidateWork | PredsWork | ShowWork
Work: TypeAlias = TrainWork | ExamineWork | ExportWork


@dataclass(frozen=True)
class Learner:
    """A learner: what it is made of, and a pointer to its present state."""

    id: str
    spec: LearnerSpec
    created_at: datetime
    updated_at: datetime
    classes: tuple[str, ...] = ()
    frozen_to: int = 0
    checkpoint_id: str | None = None  # None: never trained
    epochs: int = 0
    steps: int = 0
    revision: int = 0  # one more with every change


@dataclass(frozen=True)
class Checkpoint:
    """A saved state of a learner; its files are in the folder `path`."""

    learner_id: str
    id: str
    path: str
    step: int
    epoch: int
    model_sha256: str
    optimizer_sha256: str
    size_bytes: int
    created_at: datetime


@dataclass(frozen=True)
class Job:
    """A job as the store knows it."""

    id: str
    learner_id: str
    kind: JobKind
    work: Work
    resources: Resources
    state: JobState
    reason: str
    created_at: datetime
    updated_at: datetime
    attempt: int = 0  # 0: never started; fencing token of everything the job writes
    started_at: datetime | None = None
    ended_at: datetime | None = None
    request_id: str | None = None
    # Resource state the job starts from; fixed when it first starts. None: a fresh learner.
    start_checkpoint_id: str | None = None
    progress: Json | None = None  # data of the newest `batch` or `epoch` event
    # metrics, checkpoint_id, kept_checkpoint_ids, interpretation_id, model_version, skipped_images, exact
    result: Json | None = None
    tracking: Json | None = None  # tracking_uri, experiment_id, run_id
    last_sequence: int = 0


@dataclass(frozen=True)
class JobBrief:
    """What scheduling needs of a job: thousands are read at a time, and their work is large."""

    id: str
    learner_id: str
    kind: JobKind
    resources: Resources
    state: JobState
    reason: str


@dataclass(frozen=True)
class NewEvent:
    """Something that happened to a job. Equal ids mean the same thing happened: repeats are dropped.

    Kinds and data as trainer/run.py emits them (stage, batch, epoch, checkpoint, bad_image, picture, data), from the
    server `state` ({state, reason}), and from what workers log `log` ({severity, message}).
    """

    id: str
    kind: str
    data: Json
    time: datetime
    attempt: int


@dataclass(frozen=True)
class StoredEvent:
    """An event with its place in the job's log: 1, 2, 3, ... without gaps."""

    sequence: int
    event: NewEvent


@dataclass(frozen=True)
class Group:
    """A worker group: the Ray actors that hold one learner. Durable so that a restarted server finds them again."""

    learner_id: str
    generation: int  # one more for every group the learner ever had; part of the actors' names
    resources: Resources
    namespace: str
    idle_since: datetime | None = None
