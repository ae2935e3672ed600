"""Model versions in a real registry: once for each export, with aliases that move, and pages that say what they are."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from support.tracked_jobs import NOW, run_job
from support.tracking import Tracking

from learnfleet.server.domain import Checkpoint, ExportWork, Job, JobKind, JobState, Resources
from learnfleet.server.tracking.registry import ModelRegistry


def trained(tracking: Tracking, learner_id: str) -> None:
    """A learner whose one job has come to a checkpoint of its name."""
    run_job(tracking.store, learner_id)
    checkpoint = Checkpoint(learner_id, learner_id, "/nowhere", 20, 2, "a1b2", "o", 1, datetime.now(UTC))
    tracking.store.put_checkpoint(checkpoint)


def export_job(tracking: Tracking, job_id: str, learner_id: str, *aliases: str) -> Job:
    work = ExportWork("pets", aliases)
    job = Job(job_id, learner_id, JobKind.EXPORT, work, Resources(), JobState.QUEUED, "", NOW, NOW)
    tracking.store.create_job(job, learner=None, fingerprint=job_id)
    return tracking.store.transition(job_id, JobState.STARTING, attempt=1, start_checkpoint_id=learner_id)


def register(tracking: Tracking, job: Job, folder: Path) -> str:
    assert isinstance(job.work, ExportWork)
    folder.mkdir(exist_ok=True)
    (folder / "model.safetensors").write_bytes(b"weights")
    return ModelRegistry(tracking.config, tracking.store).register(job, folder, job.work)


def test_an_export_is_one_version_however_often_it_is_tried_and_its_page_leads_to_its_run(
    tracking: Tracking, tmp_path: Path
) -> None:
    trained(tracking, "cats")
    job = export_job(tracking, "export-1", "cats", "champion")
    assert [register(tracking, job, tmp_path / "export") for _ in range(2)] == ["1", "1"]
    version = tracking.mlflow.real.get_model_version("pets", "1")
    assert version.run_id == tracking.run_of("jobs/export-1").info.run_id
    assert version.tags["learnfleet.checkpoint"] == "learners/cats/checkpoints/cats"
    assert version.tags["learnfleet.model_sha256"] == "a1b2"
    assert "epoch 2, step 20" in version.description


def test_an_alias_moves_to_the_newer_version_and_what_was_written_on_the_models_page_stays(
    tracking: Tracking, tmp_path: Path
) -> None:
    trained(tracking, "cats")
    register(tracking, export_job(tracking, "export-1", "cats", "champion", "first"), tmp_path / "export")
    mlflow = tracking.mlflow.real
    mlflow.update_registered_model("pets", "what they said of it")
    register(tracking, export_job(tracking, "export-2", "cats", "champion"), tmp_path / "export")
    assert {alias: str(number) for alias, number in mlflow.get_registered_model("pets").aliases.items()} == {
        "champion": "2",
        "first": "1",
    }
    assert mlflow.get_registered_model("pets").description == "what they said of it"
