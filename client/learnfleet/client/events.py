"""A job's events as frozen values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from learnfleet.client.results import LrFinding, state_name, time_of
from learnfleet.v1 import job_pb2, learner_pb2


@dataclass(frozen=True)
class StateChanged:
    """The job changed state."""

    state: str
    reason: str


@dataclass(frozen=True)
class DataRead:
    """The data was read."""

    classes: tuple[str, ...]
    train_images: int
    valid_images: int


@dataclass(frozen=True)
class StageStarted:
    """A stage began."""

    stage: int
    description: str
    epochs: int


@dataclass(frozen=True)
class BatchFinished:
    """Training goes on; a few a second at most."""

    stage: int
    epoch: int
    epochs: int
    batch: int
    batches: int
    step: int
    loss: float  # smoothed
    lr: float
    momentum: float
    samples_per_second: float
    eta_s: float


@dataclass(frozen=True)
class EpochFinished:
    """An epoch was trained and validated: a row of fastai's table."""

    stage: int
    epoch: int
    step: int
    train_loss: float
    valid_loss: float | None
    metrics: dict[str, float]
    duration_s: float

    @property
    def time_s(self) -> float:
        """The trainer's name for it."""
        return self.duration_s


@dataclass(frozen=True)
class CheckpointSaved:
    """State was saved."""

    step: int
    model_sha256: str
    optimizer_sha256: str


@dataclass(frozen=True)
class BadImage:
    """A picture could not be decoded."""

    path: str
    reason: str
    policy: str  # skip or fail


@dataclass(frozen=True)
class PictureDrawn:
    """A picture was drawn."""

    name: str
    media_type: str


@dataclass(frozen=True)
class LrFound:
    """A search for a learning rate is done."""

    finding: LrFinding


@dataclass(frozen=True)
class LogLine:
    """Something worth telling a person."""

    severity: str  # info, warning or error
    message: str


@dataclass(frozen=True)
class SystemSample:
    """What a worker and its machine are busy with."""

    rank: int
    node: str  # host name
    values: dict[str, float]  # with units in their names, such as cpu_utilization_percentage


@dataclass(frozen=True)
class Unknown:
    """An event of a server that is newer than this client."""


Payload: TypeAlias = (
    StateChanged
    | DataRead
    | StageStarted
    | BatchFinished
    | EpochFinished
    | CheckpointSaved
    | BadImage
    | PictureDrawn
    | LogLine
    | LrFound
    | SystemSample
    | Unknown
)


@dataclass(frozen=True)
class Event:
    """Something that happened to a job."""

    sequence: int  # 1, 2, 3, ... without gaps
    time: datetime
    attempt: int
    kind: str  # name of the payload in learnfleet.v1.Event, such as epoch_finished
    payload: Payload

    @classmethod
    def from_proto(cls, message: job_pb2.Event) -> Event:
        kind = message.WhichOneof("payload") or ""
        return cls(message.sequence, time_of(message.time), message.attempt, kind, _payload(kind, message))


def _payload(kind: str, message: job_pb2.Event) -> Payload:
    if kind == "state_changed":
        return StateChanged(state_name(message.state_changed.state), message.state_changed.reason)
    if kind == "data_read":
        read = message.data_read
        return DataRead(tuple(read.classes), read.train_images, read.valid_images)
    if kind == "stage_started":
        stage = message.stage_started
        return StageStarted(stage.stage, stage.description, stage.epochs)
    if kind == "batch_finished":
        return _batch(message.batch_finished)
    if kind == "epoch_finished":
        return _epoch(message.epoch_finished)
    if kind == "checkpoint_saved":
        saved = message.checkpoint_saved
        return CheckpointSaved(saved.step, saved.model_sha256, saved.optimizer_sha256)
    if kind == "bad_image":
        fails = message.bad_image.policy == learner_pb2.BAD_IMAGE_POLICY_FAIL
        return BadImage(message.bad_image.path, message.bad_image.reason, "fail" if fails else "skip")
    if kind == "picture_drawn":
        return PictureDrawn(message.picture_drawn.name, message.picture_drawn.media_type)
    if kind == "lr_found":
        return LrFound(LrFinding.from_proto(message.lr_found))
    if kind == "system_sample":
        sample = message.system_sample
        return SystemSample(sample.rank, sample.node, dict(sample.values))
    if kind == "log":
        severity = job_pb2.LogLine.Severity.Name(message.log.severity)
        return LogLine(severity.removeprefix("SEVERITY_").lower(), message.log.message)
    return Unknown()


def _batch(message: job_pb2.BatchFinished) -> BatchFinished:
    return BatchFinished(
        message.stage,
        message.epoch,
        message.epochs,
        message.batch,
        message.batches,
        message.step,
        message.loss,
        message.lr,
        message.momentum,
        message.samples_per_second,
        message.eta.seconds + message.eta.nanos * 1e-9,
    )


def _epoch(message: job_pb2.EpochFinished) -> EpochFinished:
    return EpochFinished(
        message.stage,
        message.epoch,
        message.step,
        message.train_loss,
        message.valid_loss if message.HasField("valid_loss") else None,
        {metric.name: metric.value for metric in message.metrics},
        message.duration.seconds + message.duration.nanos * 1e-9,
    )
