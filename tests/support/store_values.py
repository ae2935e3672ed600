"""Learners and jobs as tests of stores put them in."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from learnfleet.server.domain import Checkpoint, Job, JobKind, JobState, Learner, NewEvent, Resources, TrainWork
from learnfleet.server.store.base import Store
from learnfleet.trainer.spec import DataSpec, FitStage, LearnerSpec

NOW = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)


def a_learner(learner_id: str = "pets") -> Learner:
    return Learner(learner_id, LearnerSpec(DataSpec("/data"), "resnet18"), NOW, NOW)


def a_job(job_id: str = "one", learner_id: str = "pets", request_id: str | None = None) -> Job:
    work = TrainWork((FitStage(2),))
    return Job(
        job_id,
        learner_id,
        JobKind.TRAIN,
        work,
        Resources(2),
        JobState.QUEUED,
        "waits",
        NOW,
        NOW,
        request_id=request_id,
    )


def an_event(event_id: str, kind: str = "log") -> NewEvent:
    return NewEvent(event_id, kind, {"id": event_id}, NOW + timedelta(seconds=1), 1)


def create(store: Store, job: Job | None = None, *, new_learner: bool = True, fingerprint: str = "f") -> Job:
    job = job or a_job()
    return store.create_job(job, learner=a_learner(job.learner_id) if new_learner else None, fingerprint=fingerprint)


def a_checkpoint(checkpoint_id: str, step: int = 10, learner_id: str = "pets") -> Checkpoint:
    return Checkpoint(learner_id, checkpoint_id, "/c", step, 2, "a" * 64, "b" * 64, 5, NOW)
