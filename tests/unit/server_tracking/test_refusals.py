"""What MLflow refuses, for now or for good, and when it is away."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from support.tracked_jobs import add_epoch, queue_job, run_job, start_job
from support.tracking import TWO_EPOCHS, Tracking

from learnfleet.server.tracking.mlflow_client import EXPERIMENT


def test_a_job_that_mlflow_fails_on_does_not_keep_later_jobs_back_and_gets_its_points_when_it_works(
    tracking: Tracking,
) -> None:
    for job_id in ("first", "second"):
        run_job(tracking.store, job_id)

    def fault(call: str, arguments: tuple[Any, ...]) -> Exception | None:
        run = tracking.run_of("jobs/first")
        is_hit = call == "log_batch" and run is not None and run.info.run_id in arguments
        return RuntimeError("500: a fault of this run alone") if is_hit else None

    tracking.mlflow.fault = fault
    tracking.step_for(30)
    assert tracking.points("second") == TWO_EPOCHS
    assert tracking.points("first") == []
    # It is tried at longer and longer intervals: six times, with three calls each, and what the other jobs need.
    assert 3 <= tracking.mlflow.calls.count("log_batch") <= 30
    tracking.mlflow.fault = lambda call, arguments: None
    tracking.step_for(60)
    assert tracking.points("first") == TWO_EPOCHS


def test_a_metric_that_mlflow_will_never_take_is_logged_once_and_noted_and_the_others_arrive(
    tracking: Tracking, caplog: pytest.LogCaptureFixture
) -> None:
    run_job(tracking.store, "odd", epochs=2, **{"accuracy": 0.5, "dice (macro)!": 0.25})
    with caplog.at_level(logging.WARNING):
        tracking.step_for(300)
    said = [record.getMessage() for record in caplog.records if "dice (macro)!" in record.getMessage()]
    assert [line.split(":")[0] for line in said] == ["jobs/odd", "learners/odd"]  # of each run once
    assert tracking.points("odd") == TWO_EPOCHS
    assert tracking.points("odd", "accuracy") == [(10, 0.5), (20, 0.5)]
    run = tracking.run_of("jobs/odd")
    assert "metric dice (macro)!: " in run.data.tags["learnfleet.left_behind"]
    assert run.info.status == "FINISHED"
    assert tracking.store.jobs_behind("mlflow") == []


def test_a_job_whose_run_was_deleted_is_left_behind_and_not_tried_for_ever(tracking: Tracking) -> None:
    queue_job(tracking.store, "deleted")
    start_job(tracking.store, "deleted")
    add_epoch(tracking.store, "deleted", 0)
    tracking.step_for(61)
    tracking.mlflow.real.delete_run(tracking.run_of("jobs/deleted").info.run_id)
    add_epoch(tracking.store, "deleted", 1)
    run_job(tracking.store, "other")
    tracking.step_for(120)
    calls = len(tracking.mlflow.calls)
    tracking.step_for(600)
    assert len(tracking.mlflow.calls) == calls
    assert tracking.points("other") == TWO_EPOCHS
    assert tracking.store.jobs_behind("mlflow") == []


def test_more_parameters_than_mlflow_takes_at_once_arrive(tracking: Tracking) -> None:
    queue_job(tracking.store, "many", stages=150)
    start_job(tracking.store, "many")
    tracking.step_for(1)
    assert tracking.run_of("jobs/many").data.params["stages.149.epochs"] == "2"


def test_while_the_experiment_is_deleted_nothing_is_left_behind(tracking: Tracking) -> None:
    run_job(tracking.store, "before")
    tracking.step_for(1)
    experiment = tracking.mlflow.real.get_experiment_by_name(EXPERIMENT).experiment_id
    tracking.mlflow.real.delete_experiment(experiment)
    run_job(tracking.store, "after")
    tracking.step_for(100)
    tracking.mlflow.real.restore_experiment(experiment)
    tracking.step_for(600)
    assert tracking.points("after") == TWO_EPOCHS


def test_when_mlflow_is_away_nobody_is_blamed_and_it_is_asked_every_few_seconds(
    tracking: Tracking, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(5):
        run_job(tracking.store, f"job-{number}")
    tracking.mlflow.fault = lambda call, arguments: ConnectionError("refused")
    with caplog.at_level(logging.WARNING):
        tracking.step_for(3600)
    assert [record.getMessage() for record in caplog.records] == [
        "MLflow cannot be reached; 5 jobs wait for it: refused"
    ]
    tracking.mlflow.fault = lambda call, arguments: None
    tracking.step_for(6)
    assert [tracking.points(f"job-{number}") for number in range(5)] == [TWO_EPOCHS] * 5


def test_what_fails_now_and_then_is_tried_again_at_once(tracking: Tracking, caplog: pytest.LogCaptureFixture) -> None:
    run_job(tracking.store, "shaky")

    def fault(call: str, arguments: tuple[Any, ...]) -> Exception | None:
        return ConnectionError("reset") if tracking.mlflow.calls.count(call) % 3 == 1 else None

    tracking.mlflow.fault = lambda call, arguments: None if call.startswith("create_") else fault(call, arguments)
    with caplog.at_level(logging.WARNING):
        tracking.step_for(1)
    assert tracking.points("shaky") == TWO_EPOCHS
    assert tracking.run_of("learners/shaky").data.params["architecture"] == "resnet18"
    assert caplog.records == []


def test_a_learners_params_arrive_though_the_line_broke_after_its_run_was_made(tracking: Tracking) -> None:
    run_job(tracking.store, "broken")
    tracking.mlflow.fault = lambda call, arguments: ConnectionError("reset") if call == "log_batch" else None
    tracking.step_for(3)
    tracking.mlflow.fault = lambda call, arguments: None
    tracking.step_for(60)
    assert tracking.run_of("learners/broken").data.params["architecture"] == "resnet18"


@pytest.mark.parametrize("status", [404, 413])
def test_a_store_of_artifacts_that_takes_no_files_holds_no_points_back(tracking: Tracking, status: int) -> None:
    import requests

    run_job(tracking.store, "files")
    answer = requests.Response()
    answer.status_code = status
    error = requests.HTTPError(f"{status} by the proxy", response=answer)
    tracking.mlflow.fault = lambda call, arguments: error if call == "log_text" else None
    tracking.step_for(1)
    assert tracking.points("files") == TWO_EPOCHS
    run = tracking.run_of("jobs/files")
    assert (run.info.status, "epochs.csv: " in run.data.tags["learnfleet.left_behind"]) == ("FINISHED", True)
