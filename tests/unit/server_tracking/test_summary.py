"""What the run of a learner says of it."""

from __future__ import annotations

from datetime import UTC, datetime

from support.tracked_jobs import add_epoch, queue_job, start_job
from support.tracking import Tracking

from learnfleet.server.domain import Checkpoint, JobState


def finish(tracking: Tracking, job_id: str, learner_id: str, epochs: range, **metrics: float) -> None:
    """A job of an earlier learner (or its first) that trains these epochs and ends with `metrics`."""
    queue_job(tracking.store, job_id, "" if job_id == learner_id else learner_id)
    start_job(tracking.store, job_id)
    for epoch in epochs:
        add_epoch(tracking.store, job_id, epoch)
    step = 10 * epochs.stop
    checkpoint = Checkpoint(learner_id, job_id, "/nowhere", step, epochs.stop, "m", "o", 1, datetime.now(UTC))
    learner = tracking.store.get_learner(learner_id)
    moved = {"checkpoint_id": job_id, "epochs": epochs.stop, "steps": step}
    tracking.store.transition(
        job_id,
        JobState.SUCCEEDED,
        result={"metrics": metrics, "checkpoint_id": job_id},
        learner=type(learner)(**{**vars(learner), **moved}),
        checkpoint=checkpoint,
    )
    tracking.exporter.wake(job_id)
    tracking.step_for(1)


def learner_points(tracking: Tracking, metric: str) -> list[tuple[int, float]]:
    run_id = tracking.run_of("learners/pets").info.run_id
    return [(point.step, point.value) for point in tracking.mlflow.real.get_metric_history(run_id, metric)]


def test_the_learners_run_has_the_whole_way_of_its_jobs_and_the_best_of_their_ends(tracking: Tracking) -> None:
    finish(tracking, "pets", "pets", range(2), valid_loss=0.5, accuracy=0.7)
    finish(tracking, "second", "pets", range(2, 4), valid_loss=0.4, accuracy=0.6)
    assert learner_points(tracking, "valid_loss") == [(10, 3.0), (20, 2.999), (30, 2.998), (40, 2.997)]
    assert learner_points(tracking, "best/valid_loss") == [(20, 0.5), (40, 0.4)]
    assert learner_points(tracking, "best/accuracy") == [(20, 0.7), (40, 0.7)]
    tags = tracking.run_of("learners/pets").data.tags
    assert tags["learnfleet.checkpoint"] == "learners/pets/checkpoints/second"
    assert tags["learnfleet.best.accuracy"] == "0.7 by learners/pets/checkpoints/pets"
    assert (tags["learnfleet.epochs"], tags["learnfleet.steps"], tags["learnfleet.last_job"]) == (
        "4",
        "40",
        "jobs/second",
    )


def test_a_job_that_failed_leaves_the_learners_curve_as_it_was(tracking: Tracking) -> None:
    finish(tracking, "pets", "pets", range(2), valid_loss=0.5)
    queue_job(tracking.store, "unlucky", "pets")
    start_job(tracking.store, "unlucky")
    add_epoch(tracking.store, "unlucky", 2)
    tracking.store.transition("unlucky", JobState.FAILED, "out of luck")
    tracking.exporter.wake("unlucky")
    tracking.step_for(1)
    assert len(learner_points(tracking, "valid_loss")) == 2
    assert tracking.run_of("learners/pets").data.tags["learnfleet.last_job"] == "jobs/unlucky"


def test_a_learner_whose_run_was_deleted_does_not_keep_its_jobs_back(tracking: Tracking) -> None:
    finish(tracking, "pets", "pets", range(2), valid_loss=0.5)
    tracking.mlflow.real.delete_run(tracking.run_of("learners/pets").info.run_id)
    finish(tracking, "second", "pets", range(2, 4), valid_loss=0.4)
    assert tracking.run_of("jobs/second").info.status == "FINISHED"
    assert tracking.store.jobs_behind("mlflow") == []
