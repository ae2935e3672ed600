"""Checkpoint folders of jobs, made by hand, and what MLflow has of them."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from support.tracking import Tracking

from learnfleet.server.domain import Checkpoint, NewEvent
from learnfleet.trainer import manifest

OPTIMIZER_BYTES = b"optimizer" * 1000


def save_checkpoint(tracking: Tracking, job_id: str, step: int, **metrics: float) -> Path:
    """A checkpoint of a job on its learner's disk, and the event that tells of it."""
    root = tracking.config.checkpoint_root(tracking.store.get_job(job_id).learner_id)
    folder = root / str(manifest.CheckpointName(job_id, step, 1))
    folder.mkdir(parents=True)
    (folder / manifest.MODEL_FILE).write_bytes(f"model {step}".encode())
    (folder / manifest.OPTIMIZER_FILE).write_bytes(OPTIMIZER_BYTES)
    (folder / manifest.STATE_FILE).write_text("{}")
    manifest.write_manifest(folder, job_id=job_id, attempt=1, step=step, epoch=step // 10, metrics=metrics)
    event = NewEvent(f"checkpoint/{step}", "checkpoint", {"step": step}, datetime.now(UTC), 1)
    tracking.store.append_events(job_id, [event])
    tracking.exporter.wake(job_id)
    return folder


def prune(path: Path) -> None:
    shutil.rmtree(path)


def name_checkpoint(tracking: Tracking, job_id: str, path: Path, checkpoint_id: str) -> None:
    """What a job does at its end with what it keeps."""
    learner_id = tracking.store.get_job(job_id).learner_id
    info = manifest.verify(path)
    tracking.store.put_checkpoint(
        Checkpoint(
            learner_id,
            checkpoint_id,
            str(path),
            info.step,
            info.epoch,
            info.model_sha256,
            info.optimizer_sha256,
            info.size_bytes,
            datetime.now(UTC),
        )
    )


def checkpoints(tracking: Tracking, job_id: str) -> list[str]:
    """Names of those among the run's artifacts."""
    run_id = tracking.run_of(f"jobs/{job_id}").info.run_id
    return [Path(item.path).name for item in tracking.mlflow.real.list_artifacts(run_id, "checkpoints")]


def downloaded(tracking: Tracking, job_id: str, name: str) -> manifest.CheckpointInfo:
    """A checkpoint as MLflow gives it back, verified."""
    run_id = tracking.run_of(f"jobs/{job_id}").info.run_id
    return manifest.verify(Path(tracking.mlflow.real.download_artifacts(run_id, f"checkpoints/{name}")))


def table(tracking: Tracking, job_id: str, name: str) -> list[dict[str, Any]]:
    """A table artifact as rows."""
    found = json.loads(tracking.artifact(job_id, name))
    return [dict(zip(found["columns"], line, strict=True)) for line in found["data"]]
