"""What the run of a learner says: where the learner stands, the way there, and the best of its states."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from learnfleet.server import names
from learnfleet.server.domain import Job, JobState, Json, TrainWork
from learnfleet.server.store.base import JobFilter, Page, Store
from learnfleet.server.tracking.points import end_ms, row_points
from learnfleet.server.tracking.sending import RunWriter
from learnfleet.trainer.keep_policy import KeepBest

if TYPE_CHECKING:
    from mlflow.entities import Metric

_PAGE = 200


def send_summary(store: Store, writer: RunWriter, job: Job, rows: Sequence[Json]) -> None:
    """After a job has ended. Safe to repeat. A job that did not succeed has left the learner as it was."""
    learner = store.get_learner(job.learner_id)
    if job.state is JobState.SUCCEEDED and isinstance(job.work, TrainWork):
        writer.metrics([point for row in rows for point in row_points(row)])
        writer.metrics(_best(store, writer, job, rows))
    if learner.checkpoint_id is not None:
        writer.tag("learnfleet.checkpoint", names.checkpoint_name(learner.id, learner.checkpoint_id))
    writer.tag("learnfleet.epochs", str(learner.epochs))
    writer.tag("learnfleet.steps", str(learner.steps))
    writer.tag("learnfleet.last_job", f"jobs/{job.id}")
    writer.note()


def _best(store: Store, writer: RunWriter, job: Job, rows: Sequence[Json]) -> list[Metric]:
    """The best that any training job of the learner has come to, by metric, as points at this job's end.

    Of what jobs ended with, since these are the states that one can go back to; a tag names each.
    """
    from mlflow.entities import Metric

    best: dict[str, tuple[float, float, str]] = {}
    for past in _succeeded(store, job):
        for name, value in ((past.result or {}).get("metrics") or {}).items():
            rank = None if value is None else KeepBest(name).rank({name: value})
            if rank is not None and (name not in best or rank < best[name][0]):
                best[name] = (rank, value, past.id)
    if not rows:
        return []
    for name, (_, value, job_id) in best.items():
        writer.tag(f"learnfleet.best.{name}", f"{value:.6g} by {names.checkpoint_name(job.learner_id, job_id)}")
    step, time_ms = rows[-1]["step"], rows[-1]["time_ms"]
    return [Metric(f"best/{name}", value, time_ms, step) for name, (_, value, _) in best.items()]


def _succeeded(store: Store, last: Job) -> Iterator[Job]:
    """The learner's training jobs that have succeeded, up to the `last`, which was not always the last of all."""
    until_ms, token = end_ms(last), ""
    while True:
        jobs, token = store.list_jobs(Page(_PAGE, token), JobFilter(last.learner_id, (JobState.SUCCEEDED,)))
        yield from (job for job in jobs if isinstance(job.work, TrainWork) and end_ms(job) <= until_ms)
        if not token:
            return
