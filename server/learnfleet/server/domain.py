"""Jobs, learners, checkpoints and events as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeAlias

from learnfleet.server.job_states import TRANSITIONS as TRANSITIONS
from learnfleet.server.job_states import Cause as Cause
from learnfleet.server.job_states import IllegalTransition as IllegalTransition
from learnfleet.server.job_states import JobKind as JobKind
from learnfleet.server.job_states import JobState as JobState
from learnfleet.server.job_states import Wanted as Wanted
from learnfleet.trainer.keep_policy import KeepBest, KeepPolicy
from learnfleet.trainer.spec import Component, LearnerSpec, Stage
from learnfleet.trainer.spec_base import Spec

Json: TypeAlias = dict[str, Any]

DEFAULT_TENANT = "default"


@dataclass(frozen=True)
class Resources:
    """What a job runs on: `num_workers` processes, placed together or not at all.

    With `min_workers` or `max_workers` it is elastic: it starts with any number between them that there is room for.
    """

    num_workers: int = 1
    gpus_per_worker: int = 0
    min_workers: int | None = None  # None: num_workers
    max_workers: int | None = None

    @property
    def least(self) -> int:
        return self.num_workers if self.min_workers is None else self.min_workers

    @property
    def most(self) -> int:
        return self.num_workers if self.max_workers is None else self.max_workers


@dataclass(frozen=True)
class RetryPolicy(Spec):
    """How often a job is started again after which fault."""

    worker_lost: int = 3
    out_of_memory: int = 1
    hang: int = 2
    server: int = 3


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
class Examined(Spec):
    """A model on data, apart from what its learner has come to."""

    name: str  # models/{model}/versions/{version}, or a learner's checkpoint
    export: str  # folder of the weights; empty: the learner's present state
    spec: Json  # LearnerSpec.to_json, with the data to look at


@dataclass(frozen=True)
class InterpretWork:
    """The work of an INTERPRET job: on the learner's state, or on a `subject` of its own, perhaps against another."""

    top_losses: int = 9
    min_confused: int = 1
    dataset: str = "valid"
    tta: bool = False
    parts: tuple[str, ...] = ()  # see trainer.run_interpret; empty: all that suit the labels
    slice_columns: tuple[str, ...] = ()
    metadata: str = ""  # a table inside the data's folder
    void_class: str = ""
    examples: int = 24  # that got fixed and that broke, each
    subject: Json | None = None  # what Examined.to_json gives; None: the learner as it is
    baseline: Json | None = None  # the same; None: no comparison
    least_losses: int = 0


@dataclass(frozen=True)
class ExportWork:
    """The work of an EXPORT job."""

    model_id: str
    aliases: tuple[str, ...] = ()
    onnx: bool = True  # the model as ONNX, too, where it can be had


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
    subject: Json | None = None  # what Examined.to_json gives; None: the learner as it is
    tta_passes: int = 0  # with the whole training augmentation; 0: the eight variants
    tta_use_max: bool = False
    tta_apart: bool = False  # plain predictions and mean of the variants, both
    activ: str | None = None  # none, softmax or sigmoid; None: what suits the loss


@dataclass(frozen=True)
class ShowWork:
    """The work of a SHOW job."""

    what: str = "batch"  # or "results"; "describe" draws nothing, and says what the learner is made of
    dataset: str = "train"
    rows: int = 5
    freeze_to: int | None = None  # of "describe": as it would be then; None: as it is


# Work on a learner's state that leaves it as it is.
ExamineWork: TypeAlias = InterpretWork | ValidateWork | PredsWork | ShowWork
Work: TypeAlias = TrainWork | ExamineWork | ExportWork


def subject_of(work: Work) -> Examined | None:
    """What a job looks at. None: its learner as it is."""
    if isinstance(work, InterpretWork | PredsWork) and work.subject is not None:
        return Examined.from_json(work.subject)
    return None


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
    tenant: str = DEFAULT_TENANT


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
    tenant: str = DEFAULT_TENANT
    priority: int = 0  # greater goes first
    retry_policy: RetryPolicy = field(default_factory=RetryPolicy)
    deadline: datetime | None = None
    wanted: Wanted = Wanted.RUN
    retries: Mapping[str, int] = field(default_factory=dict)  # used so far, by cause
    workers: int | None = None  # that it runs on, or ran on last
    cause: Cause | None = None  # of its last failure, restart or requeueing
    exact: bool = True  # until the number of its workers changes in mid-run
    traceparent: str = ""  # W3C context of the call that it came with; "": nobody traces

    def brief(self) -> JobBrief:
        """What scheduling needs of it."""
        return JobBrief(
            id=self.id,
            learner_id=self.learner_id,
            kind=self.kind,
            resources=self.resources,
            state=self.state,
            reason=self.reason,
            created_at=self.created_at,
            tenant=self.tenant,
            priority=self.priority,
            wanted=self.wanted,
            attempt=self.attempt,
            workers=self.workers,
            deadline=self.deadline,
        )


@dataclass(frozen=True)
class JobBrief:
    """What scheduling needs of a job: thousands are read at a time, and their work is large."""

    id: str
    learner_id: str
    kind: JobKind
    resources: Resources
    state: JobState
    reason: str
    created_at: datetime
    tenant: str = DEFAULT_TENANT
    priority: int = 0
    wanted: Wanted = Wanted.RUN
    attempt: int = 0
    workers: int | None = None
    deadline: datetime | None = None


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
