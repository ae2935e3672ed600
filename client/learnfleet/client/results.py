"""What the server answers, as frozen values: users never hold protobuf messages."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from learnfleet.client import cards
from learnfleet.client.dataset_paths import DatasetPath
from learnfleet.client.model_values import ModelVersion as ModelVersion
from learnfleet.client.model_values import OnnxModel
from learnfleet.client.times import time_of as time_of
from learnfleet.client.values import LrFinding as LrFinding
from learnfleet.client.values import Prediction as Prediction
from learnfleet.client.values import label_kind as label_kind
from learnfleet.v1 import job_pb2, learner_pb2

FINAL_STATES = frozenset({"SUCCEEDED", "FAILED", "CANCELLED"})


@dataclass(frozen=True)
class CheckpointInfo:
    """A saved state of a learner."""

    name: str
    step: int
    epoch: int
    model_sha256: str
    optimizer_sha256: str
    size_bytes: int

    @classmethod
    def from_proto(cls, message: learner_pb2.Checkpoint) -> CheckpointInfo:
        return cls(
            message.name,
            message.step,
            message.epoch,
            message.model_sha256,
            message.optimizer_sha256,
            message.size_bytes,
        )

    def _repr_html_(self) -> str:
        facts = {"step": self.step, "epoch": self.epoch, "size": cards.size(self.size_bytes)}
        return cards.card(self.name, {**facts, "weights": f"sha256 {self.model_sha256[:12]}"})


@dataclass(frozen=True)
class TrackingRun:
    """Where MLflow holds a job."""

    tracking_uri: str
    experiment_id: str
    run_id: str


@dataclass(frozen=True)
class Description:
    """What a learner is made of."""

    network: str  # a table with a line a layer
    channel_means: tuple[float, ...]  # of the first batch of training pictures, in [0, 1]; () where they are none
    channel_stds: tuple[float, ...]


@dataclass(frozen=True)
class JobResult:
    """What a job came to."""

    metrics: dict[str, float]
    checkpoint: CheckpointInfo | None
    interpretation: str
    model_version: str
    skipped_images: int
    exact: bool
    predictions: int = 0  # rows that `get_preds` gave
    pictures: tuple[str, ...] = ()  # jobs/{job}/pictures/{picture}
    lr_findings: tuple[LrFinding, ...] = ()  # of the `lr_find` stages, in their order
    kept_checkpoints: tuple[str, ...] = ()  # by keep_best and keep_every: learners/{learner}/checkpoints/{checkpoint}
    onnx: OnnxModel | None = None  # what became of ONNX, where an export was asked for it
    description: Description | None = None  # where it was asked for


@dataclass(frozen=True)
class JobInfo:
    """A job as it stood when it was asked for."""

    name: str
    kind: str
    learner: str
    state: str  # QUEUED, STARTING, RUNNING, RESTARTING, CANCELLING, SUCCEEDED, FAILED or CANCELLED
    state_reason: str
    num_workers: int
    attempt: int
    last_sequence: int
    result: JobResult | None
    tracking_run: TrackingRun | None
    create_time: datetime
    epoch: int
    epochs: int

    def _repr_html_(self) -> str:
        result = self.result
        facts = {
            "state": f"{self.state.lower()}: {self.state_reason}" if self.state_reason else self.state.lower(),
            "learner": self.learner,
            "workers": self.num_workers,
            "began": f"{self.create_time:%Y-%m-%d %H:%M:%S %Z}",
            "epochs": f"{self.epoch} of {self.epochs}" if self.epochs else None,
            "attempt": self.attempt if self.attempt > 1 else None,
            "result": ", ".join(f"{name} {value:.4g}" for name, value in result.metrics.items()) if result else None,
            "MLflow run": self.tracking_run.run_id if self.tracking_run else None,
        }
        return cards.card(f"{self.name} ({self.kind})", facts)

    @property
    def is_final(self) -> bool:
        return self.state in FINAL_STATES

    @classmethod
    def from_proto(cls, message: job_pb2.Job) -> JobInfo:
        run = message.tracking_run
        return cls(
            name=message.name,
            kind=job_pb2.JobKind.Name(message.kind).removeprefix("JOB_KIND_"),
            learner=message.learner,
            state=state_name(message.state),
            state_reason=message.state_reason,
            num_workers=message.resources.num_workers,
            attempt=message.attempt,
            last_sequence=message.last_sequence,
            result=_result(message.result) if message.HasField("result") else None,
            tracking_run=TrackingRun(run.tracking_uri, run.experiment_id, run.run_id)
            if message.HasField("tracking_run")
            else None,
            create_time=time_of(message.create_time),
            epoch=message.progress.epoch,
            epochs=message.progress.epochs,
        )


def state_name(number: int) -> str:
    """SUCCEEDED for JOB_STATE_SUCCEEDED; the number itself for a state that this client is too old to know."""
    known = job_pb2.JobState.values()
    return job_pb2.JobState.Name(number).removeprefix("JOB_STATE_") if number in known else str(number)


def _result(message: job_pb2.JobResult) -> JobResult:
    return JobResult(
        dict(message.metrics),
        CheckpointInfo.from_proto(message.checkpoint) if message.HasField("checkpoint") else None,
        message.interpretation,
        message.model_version,
        message.skipped_images,
        message.exact,
        message.predictions,
        tuple(message.pictures),
        tuple(LrFinding.from_proto(finding) for finding in message.lr_findings),
        tuple(message.kept_checkpoints),
        OnnxModel.from_proto(message.onnx) if message.HasField("onnx") else None,
        _description(message.description) if message.HasField("description") else None,
    )


def _description(message: job_pb2.Description) -> Description:
    return Description(message.network, tuple(message.channel_means), tuple(message.channel_stds))


def _data_path(data: learner_pb2.DataSpec) -> str:
    source = data.WhichOneof("source")
    path = str(getattr(data, source).path) if source else ""
    return str(DatasetPath(data.dataset, path)) if data.dataset else path


@dataclass(frozen=True)
class LearnerInfo:
    """A learner as it stood when it was asked for."""

    name: str
    architecture: str
    data_path: str
    classes: tuple[str, ...]
    frozen_to: int
    checkpoint: str
    epochs_trained: int
    steps_trained: int
    warm: bool
    active_job: str
    kind: str = "category"  # what the targets are

    @classmethod
    def from_proto(cls, message: learner_pb2.Learner) -> LearnerInfo:
        return cls(
            message.name,
            message.spec.architecture,
            _data_path(message.spec.data),
            tuple(message.classes),
            message.frozen_to,
            message.checkpoint,
            message.epochs_trained,
            message.steps_trained,
            message.warm,
            message.active_job,
            label_kind(message.spec.data.labels),
        )

    def _repr_html_(self) -> str:
        facts = {
            "architecture": self.architecture,
            "data": self.data_path,
            "classes": cards.listed(self.classes),
            "trained": f"{self.epochs_trained} epochs, {self.steps_trained} steps",
            "frozen": f"layer groups below {self.frozen_to}" if self.frozen_to else None,
            "checkpoint": self.checkpoint,
            "workers": "ready" if self.warm else "none held",
            "at work": self.active_job,
        }
        return cards.card(self.name, facts)
