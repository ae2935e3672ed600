"""Rows of the store's tables as domain values, and back."""

from __future__ import annotations

import dataclasses
import json
from datetime import datetime
from typing import Any, TypeAlias

from sqlalchemy import RowMapping

from learnfleet.server.domain import (
    Cause,
    Checkpoint,
    CheckpointPolicy,
    ExportWork,
    Group,
    InterpretWork,
    Job,
    JobBrief,
    JobKind,
    JobState,
    Json,
    Learner,
    NewEvent,
    PredsWork,
    Resources,
    RetryPolicy,
    ShowWork,
    StoredEvent,
    TrainWork,
    ValidateWork,
    Wanted,
    Work,
)
from learnfleet.server.text import utf8_json
from learnfleet.trainer.spec import Component, LearnerSpec, stage_from_json, stage_to_json

Row: TypeAlias = RowMapping


def learner_row(learner: Learner) -> dict[str, Any]:
    return {
        "id": learner.id,
        "spec": json.dumps(learner.spec.to_json()),
        "created_at": learner.created_at.isoformat(),
        "tenant": learner.tenant,
        "revision": learner.revision,
        **learner_state_row(learner),
    }


def learner_state_row(learner: Learner) -> dict[str, Any]:
    """The columns that change in a learner's life."""
    return {
        "classes": json.dumps(utf8_json(learner.classes)),
        "frozen_to": learner.frozen_to,
        "checkpoint_id": learner.checkpoint_id,
        "epochs": learner.epochs,
        "steps": learner.steps,
        "updated_at": learner.updated_at.isoformat(),
    }


def learner_of(row: Row) -> Learner:
    return Learner(
        id=row["id"],
        spec=LearnerSpec.from_json(json.loads(row["spec"])),
        created_at=datetime.fromisoformat(row["created_at"]),
        updated_at=datetime.fromisoformat(row["updated_at"]),
        classes=tuple(json.loads(row["classes"])),
        frozen_to=row["frozen_to"],
        checkpoint_id=row["checkpoint_id"],
        epochs=row["epochs"],
        steps=row["steps"],
        revision=row["revision"],
        tenant=row["tenant"],
    )


def job_row(job: Job, fingerprint: str) -> dict[str, Any]:
    return {
        "id": job.id,
        "learner_id": job.learner_id,
        "kind": str(job.kind),
        "work": json.dumps(work_to_json(job.work)),
        "num_workers": job.resources.num_workers,
        "gpus_per_worker": job.resources.gpus_per_worker,
        "min_workers": job.resources.min_workers,
        "max_workers": job.resources.max_workers,
        "tenant": job.tenant,
        "priority": job.priority,
        "retry_policy": json.dumps(job.retry_policy.to_json()),
        "deadline": job.deadline.isoformat() if job.deadline else None,
        "wanted": str(job.wanted),
        "state": str(job.state),
        "reason": job.reason,
        "attempt": job.attempt,
        "start_checkpoint_id": job.start_checkpoint_id,
        "last_sequence": 1,  # its first event is inserted with it
        "request_id": job.request_id,
        "fingerprint": fingerprint,
        "traceparent": job.traceparent,
        "created_at": job.created_at.isoformat(),
        "updated_at": job.updated_at.isoformat(),
    }


def job_of(row: Row) -> Job:
    return Job(
        id=row["id"],
        learner_id=row["learner_id"],
        kind=JobKind(row["kind"]),
        work=work_from_json(json.loads(row["work"])),
        resources=resources_of(row),
        state=JobState(row["state"]),
        reason=row["reason"],
        created_at=datetime.fromisoformat(row["created_at"]),
        updated_at=datetime.fromisoformat(row["updated_at"]),
        attempt=row["attempt"],
        started_at=_time(row["started_at"]),
        ended_at=_time(row["ended_at"]),
        request_id=row["request_id"],
        start_checkpoint_id=row["start_checkpoint_id"],
        progress=_json(row["progress"]),
        result=_json(row["result"]),
        tracking=_json(row["tracking"]),
        last_sequence=row["last_sequence"],
        tenant=row["tenant"],
        priority=row["priority"],
        retry_policy=RetryPolicy.from_json(json.loads(row["retry_policy"])),
        deadline=_time(row["deadline"]),
        wanted=Wanted(row["wanted"]),
        retries=json.loads(row["retries"]),
        workers=row["workers"],
        cause=Cause(row["cause"]) if row["cause"] else None,
        exact=row["exact"],
        traceparent=row["traceparent"],
    )


def brief_of(row: Row) -> JobBrief:
    return JobBrief(
        id=row["id"],
        learner_id=row["learner_id"],
        kind=JobKind(row["kind"]),
        resources=resources_of(row),
        state=JobState(row["state"]),
        reason=row["reason"],
        created_at=datetime.fromisoformat(row["created_at"]),
        tenant=row["tenant"],
        priority=row["priority"],
        wanted=Wanted(row["wanted"]),
        attempt=row["attempt"],
        workers=row["workers"],
        deadline=_time(row["deadline"]),
    )


def resources_of(row: Row) -> Resources:
    return Resources(row["num_workers"], row["gpus_per_worker"], row["min_workers"], row["max_workers"])


_PLAIN_WORK: dict[str, type[InterpretWork | PredsWork | ShowWork]] = {
    "interpret": InterpretWork,
    "get_preds": PredsWork,
    "show": ShowWork,
}


def work_to_json(work: Work) -> Json:
    """{"kind": ..., plus the work's fields}."""
    if isinstance(work, TrainWork):
        stages = [stage_to_json(stage) for stage in work.stages]
        return {"kind": "train", "stages": stages, "checkpoint_policy": work.checkpoint_policy.to_json()}
    if isinstance(work, ValidateWork):
        metrics = None if work.metrics is None else [metric.to_json() for metric in work.metrics]
        return {"kind": "validate", "dataset": work.dataset, "metrics": metrics}
    kinds = (name for name, cls in _PLAIN_WORK.items() if isinstance(work, cls))
    return {"kind": next(kinds, "export"), **dataclasses.asdict(work)}


def work_from_json(value: Json) -> Work:
    """Inverse of `work_to_json`."""
    fields = dict(value)
    kind = fields.pop("kind")
    if kind == "train":
        stages = tuple(stage_from_json(stage) for stage in fields["stages"])
        return TrainWork(stages, CheckpointPolicy.from_json(fields["checkpoint_policy"]))
    if kind == "validate":
        metrics = fields["metrics"]
        return ValidateWork(
            fields["dataset"], None if metrics is None else tuple(Component.from_json(item) for item in metrics)
        )
    if kind in _PLAIN_WORK:
        # Sequences of works are tuples; JSON knows lists alone.
        plain: Json = {name: tuple(item) if isinstance(item, list) else item for name, item in fields.items()}
        return _PLAIN_WORK[kind](**plain)
    return ExportWork(fields["model_id"], tuple(fields["aliases"]), fields.get("onnx", False))


def event_row(job_id: str, sequence: int, event: NewEvent) -> dict[str, Any]:
    return {
        "job_id": job_id,
        "sequence": sequence,
        "id": event.id,
        "kind": event.kind,
        "data": json.dumps(event.data),
        "time": event.time.isoformat(),
        "attempt": event.attempt,
    }


def event_of(row: Row) -> StoredEvent:
    time = datetime.fromisoformat(row["time"])
    return StoredEvent(row["sequence"], NewEvent(row["id"], row["kind"], json.loads(row["data"]), time, row["attempt"]))


def checkpoint_row(checkpoint: Checkpoint) -> dict[str, Any]:
    return {**dataclasses.asdict(checkpoint), "created_at": checkpoint.created_at.isoformat()}


def checkpoint_of(row: Row) -> Checkpoint:
    return Checkpoint(**{**row, "created_at": datetime.fromisoformat(row["created_at"])})


def group_row(group: Group) -> dict[str, Any]:
    return {
        "learner_id": group.learner_id,
        "generation": group.generation,
        "num_workers": group.resources.num_workers,
        "gpus_per_worker": group.resources.gpus_per_worker,
        "namespace": group.namespace,
        "idle_since": group.idle_since.isoformat() if group.idle_since else None,
    }


def group_of(row: Row) -> Group:
    return Group(
        learner_id=row["learner_id"],
        generation=row["generation"],
        resources=Resources(row["num_workers"], row["gpus_per_worker"]),
        namespace=row["namespace"],
        idle_since=_time(row["idle_since"]),
    )


def _time(value: str | None) -> datetime | None:
    return datetime.fromisoformat(value) if value else None


def _json(value: str | None) -> Json | None:
    return json.loads(value) if value else None
