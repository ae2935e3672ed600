"""What the server answers, as frozen values: users never hold protobuf messages."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from learnfleet.v1 import job_pb2, learner_pb2, prediction_service_pb2

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


@dataclass(frozen=True)
class TrackingRun:
    """Where MLflow holds a job."""

    tracking_uri: str
    experiment_id: str
    run_id: str


@dataclass(frozen=True)
class LrFinding:
    """What a search for a learning rate found."""

    stage: int
    lrs: tuple[float, ...]
    losses: tuple[float, ...]  # smoothed, at each rate
    suggestions: dict[str, float]  # by rule: valley, slide, steep, minimum, min_gradient

    @classmethod
    def from_proto(cls, message: job_pb2.LrFinding) -> LrFinding:
        return cls(message.stage, tuple(message.lrs), tuple(message.losses), dict(message.suggestions))


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
            create_time=message.create_time.ToDatetime(),
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
    )


def _data_path(data: learner_pb2.DataSpec) -> str:
    source = data.WhichOneof("source")
    return str(getattr(data, source).path) if source else ""


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
        )


def label_kind(number: int) -> str:
    """ "category" for LABEL_KIND_CATEGORY."""
    known = learner_pb2.LabelKind.values()
    name = learner_pb2.LabelKind.Name(number) if number in known else str(number)
    return "category" if number == 0 else name.removeprefix("LABEL_KIND_").lower()


@dataclass(frozen=True)
class Prediction:
    """fastai's triple: `name, index, probabilities = learn.predict(...)`."""

    class_name: str
    index: int
    probabilities: tuple[float, ...]
    top: tuple[tuple[str, float], ...]  # likeliest classes, best first
    model_used: str
    kind: str = "category"  # or "multi_category", "float", "mask"
    labels: tuple[str, ...] = ()  # of "multi_category"
    values: tuple[float, ...] = ()  # of "float"
    mask_png: bytes = b""  # of "mask": a grey PNG of class indices

    @property
    def probability(self) -> float:
        """Of the predicted class."""
        return self.probabilities[self.index]

    def __iter__(self) -> Iterator[str | int | tuple[float, ...]]:
        return iter((self.class_name, self.index, self.probabilities))

    @classmethod
    def from_proto(cls, message: prediction_service_pb2.PredictResponse) -> Prediction:
        prediction = message.prediction
        return cls(
            prediction.class_name,
            prediction.class_index,
            tuple(prediction.probabilities),
            tuple((item.class_name, item.probability) for item in prediction.top),
            message.model_used,
            label_kind(prediction.kind),
            tuple(prediction.labels),
            tuple(prediction.values),
            prediction.mask,
        )


@dataclass(frozen=True)
class ModelVersion:
    """An export in the model registry."""

    name: str  # models/{model}/versions/{version}
    model: str
    version: str

    @classmethod
    def from_name(cls, name: str) -> ModelVersion:
        _, model, _, version = name.split("/")
        return cls(name, model, version)
