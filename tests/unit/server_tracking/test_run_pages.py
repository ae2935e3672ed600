"""What somebody finds on the pages of runs: params, tags, data sets, tables, pictures, system metrics, states."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from PIL import Image
from support.tracked_checkpoints import table
from support.tracked_jobs import NOW, add_epoch, queue_job, run_job, start_job
from support.tracking import Tracking

from learnfleet.server.domain import JobState, NewEvent
from learnfleet.server.tracking.params import dataset_input, learner_params
from learnfleet.trainer.data_spec import DatasetRef
from learnfleet.trainer.spec import DataSpec, LearnerSpec

NO_DATA: dict[str, Any] = {"classes": [], "counts": {}}


def emit(tracking: Tracking, job_id: str, event_id: str, kind: str, data: dict[str, Any]) -> None:
    event = NewEvent(event_id, kind, data, NOW + timedelta(seconds=70), 1)
    tracking.store.append_events(job_id, [event])
    tracking.exporter.wake(job_id)


def test_a_run_is_nested_in_its_learners_and_says_what_it_is(tracking: Tracking) -> None:
    run_job(tracking.store, "pets")
    tracking.step_for(1)
    learner, job = tracking.run_of("learners/pets"), tracking.run_of("jobs/pets")
    assert job.data.tags["mlflow.parentRunId"] == learner.info.run_id
    assert job.data.tags["learnfleet.kind"] == "train"
    assert job.data.tags["learnfleet.state"] == "succeeded"
    assert "fit, 2 epochs" in job.data.tags["mlflow.note.content"]
    assert {"architecture", "data.path", "num_workers", "learnfleet_version", "stages.0.epochs"} <= set(job.data.params)
    assert job.data.params["checkpoints.keep_last"] == "2"
    assert learner.data.params["architecture"] == "resnet18"


def test_the_data_set_of_a_job_is_among_mlflows(tracking: Tracking) -> None:
    queue_job(tracking.store, "pets")
    start_job(tracking.store, "pets")
    emit(tracking, "pets", "data", "data", {"classes": ["cat", "dog"], "counts": {"train": 30, "valid": 10}})
    tracking.step_for(1)
    (found,) = tracking.run_of("jobs/pets").inputs.dataset_inputs
    assert (found.dataset.name, json.loads(found.dataset.profile)["items"]) == ("/data", {"train": 30, "valid": 10})


def test_a_registered_data_set_is_named_with_its_version() -> None:
    data = DataSpec("/there/2", dataset=DatasetRef("datasets/pets/versions/2", ""))
    spec = LearnerSpec(data, "resnet18")
    found = dataset_input(spec, NO_DATA)
    unnamed = dataset_input(LearnerSpec(DataSpec("/there/2"), "resnet18"), NO_DATA)
    assert found.dataset.name == "datasets/pets/versions/2"
    assert (unnamed.dataset.name, unnamed.dataset.digest == found.dataset.digest) == ("/there/2", False)
    assert ("data.dataset.name", "datasets/pets/versions/2") in [(p.key, p.value) for p in learner_params(spec)]


def test_the_epoch_table_is_one_that_mlflow_shows_as_a_table(tracking: Tracking) -> None:
    run_job(tracking.store, "pets", accuracy=0.5)
    tracking.step_for(1)
    tables = json.loads(tracking.run_of("jobs/pets").data.tags["mlflow.loggedArtifacts"])
    assert tables == [{"path": "epochs.json", "type": "table"}]
    rows = table(tracking, "pets", "epochs.json")
    assert [(row["epoch"], row["valid_loss"], row["accuracy"]) for row in rows] == [(0, 3.0, 0.5), (1, 2.999, 0.5)]


def test_a_picture_is_an_artifact_and_in_the_image_grid_once(tracking: Tracking) -> None:
    queue_job(tracking.store, "pets")
    start_job(tracking.store, "pets")
    path = tracking.config.job_dir("pets", "pets") / "pictures" / "losses.png"
    path.parent.mkdir(parents=True)
    Image.new("RGB", (640, 480), "red").save(path)
    add_epoch(tracking.store, "pets", 0)
    emit(tracking, "pets", "picture/losses", "picture", {"name": "losses", "path": str(path)})
    tracking.step_for(1)
    tracking.store.transition("pets", JobState.SUCCEEDED)
    tracking.restart()
    tracking.step_for(1)
    run = tracking.run_of("jobs/pets")
    client = tracking.mlflow.real
    assert [item.path for item in client.list_artifacts(run.info.run_id, "pictures")] == ["pictures/losses.png"]
    names = [item.path.split("+") for item in client.list_artifacts(run.info.run_id, "images")]
    assert [name[:4] for name in names] == [["images/losses", "step", "10", "timestamp"]] * 2
    assert run.data.tags["mlflow.loggedImages"] == "True"


def test_system_metrics_are_where_mlflow_shows_them_by_rank(tracking: Tracking) -> None:
    queue_job(tracking.store, "pets")
    start_job(tracking.store, "pets")
    for number in range(1, 4):
        for rank in range(2):
            data = {"rank": rank, "node": "here", "values": {"cpu_utilization_percentage": 10.0 * number + rank}}
            emit(tracking, "pets", f"system/1/{rank}/{number}", "system", data)
        tracking.step_for(1)
        tracking.restart()
    points = tracking.points("pets", "system/node_1/cpu_utilization_percentage")
    assert points == [(0, 11.0), (1, 21.0), (2, 31.0)]


def test_a_job_that_went_back_to_the_queue_is_scheduled_and_goes_on_in_its_run(tracking: Tracking) -> None:
    queue_job(tracking.store, "pets")
    tracking.store.transition("pets", JobState.STARTING, attempt=1)
    tracking.step_for(1)
    first = tracking.run_of("jobs/pets").info
    tracking.store.transition("pets", JobState.QUEUED, "waits for room")
    tracking.exporter.wake("pets")
    tracking.step_for(1)
    run = tracking.run_of("jobs/pets")
    assert (run.info.status, run.data.tags["learnfleet.reason"]) == ("SCHEDULED", "waits for room")
    start_job(tracking.store, "pets")
    tracking.exporter.wake("pets")
    tracking.step_for(1)
    run = tracking.run_of("jobs/pets")
    assert (run.info.run_id, run.info.status, first.status) == (first.run_id, "RUNNING", "RUNNING")


def test_a_search_for_a_learning_rate_is_a_table_and_its_suggestions_a_tag(tracking: Tracking) -> None:
    queue_job(tracking.store, "pets")
    start_job(tracking.store, "pets")
    found = {"stage": 0, "lrs": [1e-5, 1e-3], "losses": [2.0, 1.5], "suggestions": {"valley": 1e-4, "slide": None}}
    emit(tracking, "pets", "lr_found/0", "lr_found", found)
    tracking.step_for(1)
    assert table(tracking, "pets", "lr_find_0.json") == [{"lr": 1e-5, "loss": 2.0}, {"lr": 1e-3, "loss": 1.5}]
    assert json.loads(tracking.run_of("jobs/pets").data.tags["learnfleet.lr_find.0"]) == {"valley": 1e-4}
