"""Versions in a real registry, of the golden export: no training, no cluster."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from support.golden_exports import golden_export
from support.tracked_jobs import NOW

from learnfleet.server.config import Config
from learnfleet.server.domain import Checkpoint, ExportWork, Job, JobKind, JobState, Learner, Resources
from learnfleet.server.errors import NotFound
from learnfleet.server.store.base import Store
from learnfleet.server.tracking.registry import ModelRegistry
from learnfleet.trainer.spec import DataSpec, LearnerSpec


def export_job(
    store: Store, job_id: str, learner_id: str, *aliases: str, model_id: str = "pets", tenant: str = "default"
) -> Job:
    """A job that exports the learner's state `learner_id`; the learner is made where it is not there."""
    new = None
    try:
        store.get_learner(learner_id)
    except NotFound:
        new = Learner(learner_id, LearnerSpec(DataSpec("/data"), "resnet18"), NOW, NOW, tenant=tenant)
    work = ExportWork(model_id, aliases)
    job = Job(job_id, learner_id, JobKind.EXPORT, work, Resources(), JobState.QUEUED, "", NOW, NOW, tenant=tenant)
    store.create_job(job, learner=new, fingerprint=job_id)
    if new is not None:
        checkpoint = Checkpoint(learner_id, learner_id, "/nowhere", 20, 2, "a1b2", "o", 1, datetime.now(UTC))
        store.put_checkpoint(checkpoint)
    return store.transition(job_id, JobState.STARTING, attempt=1, start_checkpoint_id=learner_id)


def register(config: Config, store: Store, job: Job, export: Path | None = None) -> str:
    """The number of the job's version."""
    assert isinstance(job.work, ExportWork)
    return ModelRegistry(config, store).register(job, export or golden_export(), job.work)
