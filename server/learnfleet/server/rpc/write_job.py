"""Jobs, learners, checkpoints and events as protobuf."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from learnfleet.server import names
from learnfleet.server.domain import (
    Cause,
    Checkpoint,
    Job,
    JobKind,
    JobState,
    Json,
    Learner,
    Resources,
    StoredEvent,
    TrainWork,
)
from learnfleet.server.rpc.ports import Placed
from learnfleet.server.rpc.write_data import bad_image_policy_to_proto
from learnfleet.server.rpc.write_spec import learner_spec_to_proto, stage_to_proto
from learnfleet.server.text import utf8, utf8_json
from learnfleet.trainer.model_card import OnnxFacts
from learnfleet.v1 import job_pb2 as pb
from learnfleet.v1 import learner_pb2

JOB_STATES = {state: pb.JobState.Value(f"JOB_STATE_{state.name}") for state in JobState}
CAUSES = {cause: pb.Cause.Value(f"CAUSE_{cause.name}") for cause in Cause}
JOB_KINDS = {kind: pb.JobKind.Value(f"JOB_KIND_{kind.name}") for kind in JobKind}
SEVERITY_NUMBERS = {
    name: pb.LogLine.Severity.Value(f"SEVERITY_{name.upper()}") for name in ("info", "warning", "error")
}


def timestamp(time: datetime) -> Timestamp:
    made = Timestamp()
    made.FromDatetime(time)
    return made


def duration(seconds: float) -> Duration:
    made = Duration()
    made.FromTimedelta(timedelta(seconds=seconds))
    return made


def learner_to_proto(learner: Learner, *, warm: bool, active_job: str | None) -> learner_pb2.Learner:
    return learner_pb2.Learner(
        name=names.learner_name(learner.id),
        spec=learner_spec_to_proto(learner.spec),
        classes=learner.classes,
        frozen_to=learner.frozen_to,
        checkpoint=names.checkpoint_name(learner.id, learner.checkpoint_id) if learner.checkpoint_id else "",
        epochs_trained=learner.epochs,
        steps_trained=learner.steps,
        warm=warm,
        active_job=names.job_name(active_job) if active_job else "",
        create_time=timestamp(learner.created_at),
        update_time=timestamp(learner.updated_at),
        etag=str(learner.revision),
        tenant=learner.tenant,
    )


def checkpoint_to_proto(checkpoint: Checkpoint) -> learner_pb2.Checkpoint:
    return learner_pb2.Checkpoint(
        name=names.checkpoint_name(checkpoint.learner_id, checkpoint.id),
        step=checkpoint.step,
        epoch=checkpoint.epoch,
        model_sha256=checkpoint.model_sha256,
        optimizer_sha256=checkpoint.optimizer_sha256,
        size_bytes=checkpoint.size_bytes,
        create_time=timestamp(checkpoint.created_at),
    )


def job_to_proto(job: Job, checkpoint: Checkpoint | None = None) -> pb.Job:
    """A job; `checkpoint` is the one that its result names."""
    message = pb.Job(
        name=names.job_name(job.id),
        kind=JOB_KINDS[job.kind],
        learner=names.learner_name(job.learner_id),
        state=JOB_STATES[job.state],
        state_reason=job.reason,
        resources=_resources_to_proto(job.resources),
        attempt=job.attempt,
        last_sequence=job.last_sequence,
        create_time=timestamp(job.created_at),
        update_time=timestamp(job.updated_at),
        request_id=job.request_id or "",
        tenant=job.tenant,
        priority=job.priority,
        retry_policy=pb.RetryPolicy(**job.retry_policy.to_json()),
        retries_used=dict(job.retries),
        workers=job.workers or 0,
        cause=CAUSES[job.cause] if job.cause else pb.CAUSE_UNSPECIFIED,
    )
    if job.deadline:
        message.deadline.CopyFrom(timestamp(job.deadline))
    if isinstance(job.work, TrainWork):
        message.stages.extend(stage_to_proto(stage) for stage in job.work.stages)
    if job.started_at:
        message.start_time.CopyFrom(timestamp(job.started_at))
    if job.ended_at:
        message.end_time.CopyFrom(timestamp(job.ended_at))
    if job.progress is not None:
        message.progress.CopyFrom(_progress_to_proto(job.progress))
    if job.result is not None:
        message.result.CopyFrom(_result_to_proto(job, job.result, checkpoint))
    if job.tracking is not None:
        message.tracking_run.CopyFrom(pb.TrackingRun(**job.tracking))
    return message


def placement_to_proto(placed: Placed, resources: Resources) -> pb.Placement:
    workers = [
        pb.WorkerPlacement(rank=rank, node=node, gpus=resources.gpus_per_worker)
        for rank, node in enumerate(placed.nodes)
    ]
    return pb.Placement(
        workers=workers,
        gives_up=[names.learner_name(learner_id) for learner_id in placed.gives_up],
        preempts=[names.job_name(job_id) for job_id in placed.preempts],
        waits_for=placed.waits_for,
    )


def _resources_to_proto(resources: Resources) -> pb.Resources:
    return pb.Resources(
        num_workers=resources.num_workers,
        gpus_per_worker=resources.gpus_per_worker,
        min_workers=resources.min_workers or 0,
        max_workers=resources.max_workers or 0,
    )


def _progress_to_proto(data: Json) -> pb.Progress:
    """From the newest `batch` or `epoch` event; an epoch that has ended says no more of its batches."""
    fields = ("stage", "epoch", "epochs", "batch", "batches")
    message = pb.Progress(**{name: data[name] for name in fields if name in data})
    message.samples_per_second = data.get("samples_per_s", 0.0)
    if data.get("eta_s") is not None:
        message.eta.CopyFrom(duration(data["eta_s"]))
    return message


def _result_to_proto(job: Job, result: Json, checkpoint: Checkpoint | None) -> pb.JobResult:
    interpretation = result.get("interpretation_id")
    metrics = {name: value for name, value in (result.get("metrics") or {}).items() if value is not None}
    return pb.JobResult(
        metrics=metrics,
        checkpoint=checkpoint_to_proto(checkpoint) if checkpoint else None,
        interpretation=names.interpretation_name(interpretation) if interpretation else "",
        model_version=result.get("model_version") or "",
        skipped_images=result.get("skipped_images") or 0,
        exact=bool(result.get("exact")),
        predictions=result.get("predictions") or 0,
        lr_findings=[_finding_to_proto(finding) for finding in result.get("lr_findings") or ()],
        pictures=[names.picture_name(job.id, name) for name in result.get("pictures") or ()],
        kept_checkpoints=[
            names.checkpoint_name(job.learner_id, kept) for kept in result.get("kept_checkpoint_ids") or ()
        ],
        onnx=onnx_to_proto(OnnxFacts.from_json(result["onnx"])) if result.get("onnx") else None,
        description=pb.Description(**utf8_json(result["description"])) if result.get("description") else None,
    )


def onnx_to_proto(onnx: OnnxFacts) -> pb.OnnxModel:
    return pb.OnnxModel(opset=onnx.opset, max_abs_difference=onnx.max_abs_difference, not_made=onnx.reason)


def _finding_to_proto(finding: Json) -> pb.LrFinding:
    suggestions = {name: value for name, value in finding["suggestions"].items() if value is not None}
    points = [(lr, loss) for lr, loss in zip(finding["lrs"], finding["losses"], strict=False) if loss is not None]
    return pb.LrFinding(
        stage=finding["stage"],
        lrs=[lr for lr, _ in points],
        losses=[loss for _, loss in points],
        suggestions=suggestions,
    )


def event_to_proto(stored: StoredEvent) -> pb.Event:
    event = stored.event
    message = pb.Event(sequence=stored.sequence, time=timestamp(event.time), attempt=event.attempt)
    _PAYLOADS[event.kind](message, event.data)
    return message


def _state(message: pb.Event, data: Json) -> None:
    changed = pb.StateChanged(state=JOB_STATES[JobState(data["state"])], reason=data["reason"])
    if "cause" in data:
        changed.cause = CAUSES[Cause(data["cause"])]
    message.state_changed.CopyFrom(changed)


def _data(message: pb.Event, data: Json) -> None:
    counts = data["counts"]
    read = pb.DataRead(
        classes=data["classes"], train_images=counts.get("train", 0), valid_images=counts.get("valid", 0)
    )
    message.data_read.CopyFrom(read)


def _stage(message: pb.Event, data: Json) -> None:
    message.stage_started.CopyFrom(
        pb.StageStarted(
            stage=data["index"],
            description=data["description"],
            epochs=data["epochs"],
        )
    )


def _batch(message: pb.Event, data: Json) -> None:
    fields = ("stage", "epoch", "epochs", "batch", "batches", "step", "loss", "lr")
    message.batch_finished.CopyFrom(pb.BatchFinished(**{name: data[name] for name in fields}))
    message.batch_finished.momentum = data["mom"]
    message.batch_finished.samples_per_second = data["samples_per_s"]
    if data["eta_s"] is not None:
        message.batch_finished.eta.CopyFrom(duration(data["eta_s"]))


def _epoch(message: pb.Event, data: Json) -> None:
    metrics = [pb.MetricValue(name=name, value=value) for name, value in data["metrics"].items() if value is not None]
    message.epoch_finished.CopyFrom(
        pb.EpochFinished(
            stage=data["stage"],
            epoch=data["epoch"],
            step=data["step"],
            train_loss=data["train_loss"],
            valid_loss=data["valid_loss"],
            metrics=metrics,
            duration=duration(data["time_s"]),
        )
    )


def _checkpoint(message: pb.Event, data: Json) -> None:
    fields = ("step", "model_sha256", "optimizer_sha256")
    message.checkpoint_saved.CopyFrom(pb.CheckpointSaved(**{name: data[name] for name in fields}))


def _bad_image(message: pb.Event, data: Json) -> None:
    policy = bad_image_policy_to_proto(data["policy"])
    message.bad_image.CopyFrom(pb.BadImage(path=data["path"], reason=data["reason"], policy=policy))


def _picture(message: pb.Event, data: Json) -> None:
    message.picture_drawn.CopyFrom(pb.PictureDrawn(name=data["name"], media_type=data["media_type"]))


def _lr_found(message: pb.Event, data: Json) -> None:
    message.lr_found.CopyFrom(_finding_to_proto(data))


def _log(message: pb.Event, data: Json) -> None:
    message.log.CopyFrom(pb.LogLine(severity=SEVERITY_NUMBERS[data["severity"]], message=utf8(data["message"])))


def _system(message: pb.Event, data: Json) -> None:
    message.system_sample.CopyFrom(pb.SystemSample(rank=data["rank"], node=data["node"], values=data["values"]))


_PAYLOADS: dict[str, Callable[[pb.Event, Json], None]] = {
    "state": _state,
    "data": _data,
    "stage": _stage,
    "batch": _batch,
    "epoch": _epoch,
    "checkpoint": _checkpoint,
    "bad_image": _bad_image,
    "picture": _picture,
    "log": _log,
    "lr_found": _lr_found,
    "system": _system,
}
