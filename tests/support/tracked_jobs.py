"""Jobs in a store, step by step, and an MLflow that fails where a test wants it to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from learnfleet.server.domain import Job, JobKind, JobState, Learner, NewEvent, Resources, TrainWork
from learnfleet.server.store.base import Store
from learnfleet.trainer.spec import DataSpec, FitStage, LearnerSpec

NOW = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)
Fault = Callable[[str, tuple[Any, ...]], Exception | None]


def queue_job(store: Store, job_id: str, learner_id: str = "", *, stages: int = 1) -> None:
    """A queued job; of a new learner unless `learner_id` is that of an earlier one."""
    is_new = learner_id == ""
    learner = Learner(job_id, LearnerSpec(DataSpec("/data"), "resnet18"), NOW, NOW) if is_new else None
    work = TrainWork((FitStage(2),) * stages)
    job = Job(job_id, learner_id or job_id, JobKind.TRAIN, work, Resources(), JobState.QUEUED, "waits", NOW, NOW)
    store.create_job(job, learner=learner, fingerprint="f")


def start_job(store: Store, job_id: str) -> None:
    store.transition(job_id, JobState.STARTING, attempt=1)
    store.transition(job_id, JobState.RUNNING)


def add_epoch(store: Store, job_id: str, epoch: int, *, after_s: float = 0.0, **metrics: float) -> None:
    data = {"stage": 0, "epoch": epoch, "step": 10 * (epoch + 1), "train_loss": 2.0 - epoch / 1000}
    data |= {"valid_loss": 3.0 - epoch / 1000, "metrics": metrics, "time_s": 1.5}
    time = NOW + timedelta(seconds=after_s or 60 + epoch)
    store.append_events(job_id, [NewEvent(f"epoch/{epoch}", "epoch", data, time, 1)])


def run_job(store: Store, job_id: str, *, epochs: int = 2, learner_id: str = "", **metrics: float) -> None:
    """A job from its beginning to its end."""
    queue_job(store, job_id, learner_id)
    start_job(store, job_id)
    for epoch in range(epochs):
        add_epoch(store, job_id, epoch, **metrics)
    store.transition(job_id, JobState.SUCCEEDED)


@dataclass
class FaultyMlflow:
    """A real client of MLflow; the calls that `fault` has an error for never reach it."""

    real: Any
    fault: Fault = lambda call, arguments: None
    calls: list[str] = field(default_factory=list)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            self.calls.append(name)
            error = self.fault(name, (*arguments, *named.values()))
            if error is not None:
                raise error
            return getattr(self.real, name)(*arguments, **named)

        return call
