"""Learners and jobs as tests of stores put them in."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta

from learnfleet.server.data.values import DatasetState, DatasetVersion
from learnfleet.server.domain import Checkpoint, Job, JobKind, JobState, Learner, NewEvent, Resources, TrainWork
from learnfleet.server.store.base import Store
from learnfleet.server.store.sql import SqlStore
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


def filled(url: str) -> SqlStore:
    """A store with something in every table that people would miss."""
    store = SqlStore(url)
    create(store, a_job("one", "pets", request_id="r1"))
    create(store, a_job("two", "pets"), new_learner=False)
    create(store, dataclasses.replace(a_job("three", "dogs"), tenant="red"))
    store.append_events("one", [an_event("a"), an_event("b", "epoch")])
    store.put_checkpoint(a_checkpoint("named"))
    store.advance_cursor("mlflow", "one", 1)
    version = DatasetVersion("photos", 0, DatasetState.PENDING, "", "", "/data/x", "a" * 64, 3, 300, NOW)
    store.add_version(version, "red", "f")
    return store
