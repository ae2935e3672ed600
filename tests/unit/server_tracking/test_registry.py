"""Model versions in a real registry: once for each export, with aliases that move, and pages that say what they are."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest
from support.exported_models import export_job, register
from support.golden_exports import FORMATS, golden_export
from support.pickles import pickles_in
from support.tracked_jobs import NOW, run_job
from support.tracking import Tracking

from learnfleet.server.domain import Checkpoint, ExportWork
from learnfleet.server.errors import FailedPrecondition, NotFound
from learnfleet.server.names import ModelRef
from learnfleet.server.tracking.registry import ModelRegistry, NoNews
from learnfleet.server.tracking.version_tags import SHA256_TAG
from learnfleet.trainer.manifest import verify


def trained(tracking: Tracking, learner_id: str) -> None:
    """A learner whose one job has come to a checkpoint of its name."""
    run_job(tracking.store, learner_id)
    tracking.store.put_checkpoint(Checkpoint(learner_id, learner_id, "/nowhere", 20, 2, "a1b2", "o", 1, NOW))


def test_an_export_is_one_version_however_often_it_is_tried_and_its_page_leads_to_its_run(tracking: Tracking) -> None:
    trained(tracking, "cats")
    job = export_job(tracking.store, "export-1", "cats", "champion")
    assert [register(tracking.config, tracking.store, job) for _ in range(2)] == ["1", "1"]
    version = tracking.mlflow.real.get_model_version("pets", "1")
    assert version.run_id == tracking.run_of("jobs/export-1").info.run_id
    assert version.tags["learnfleet.checkpoint"] == "learners/cats/checkpoints/cats"
    assert version.tags["learnfleet.model_sha256"] == "a1b2"
    assert "epoch 2, step 20" in version.description


def test_a_versions_tags_say_what_it_reached_and_how_near_onnx_is(tracking: Tracking) -> None:
    register(tracking.config, tracking.store, export_job(tracking.store, "export-1", "cats"))
    tags = tracking.mlflow.real.get_model_version("pets", "1").tags
    assert 0 <= float(tags["learnfleet.onnx_max_abs_difference"]) < 1e-4
    assert int(tags["learnfleet.onnx_opset"]) >= 17
    assert set(json.loads(tags["learnfleet.metrics"])) == {"train_loss", "valid_loss", "accuracy"}
    assert tracking.mlflow.real.get_registered_model("pets").tags["learnfleet.tenant"] == "default"


@pytest.mark.parametrize("format_version", FORMATS)
def test_what_mlflow_has_is_the_export_byte_for_byte_and_holds_no_pickle(
    tracking: Tracking, format_version: int
) -> None:
    export = golden_export(format_version)
    register(tracking.config, tracking.store, export_job(tracking.store, "export-1", "cats"), export)
    assert pickles_in(tracking.config.artifact_root) == []
    folder, name = ModelRegistry(tracking.config, tracking.store).resolve(ModelRef("pets", "1"))
    assert name == "models/pets/versions/1"
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {
        path.name: path.read_bytes() for path in export.iterdir()
    }
    verify(folder)


def test_an_alias_moves_to_the_newer_version_and_what_was_written_on_the_models_page_stays(tracking: Tracking) -> None:
    register(tracking.config, tracking.store, export_job(tracking.store, "export-1", "cats", "champion", "first"))
    mlflow = tracking.mlflow.real
    mlflow.update_registered_model("pets", "what they said of it")
    register(tracking.config, tracking.store, export_job(tracking.store, "export-2", "cats", "champion"))
    assert {alias: str(number) for alias, number in mlflow.get_registered_model("pets").aliases.items()} == {
        "champion": "2",
        "first": "1",
    }
    assert mlflow.get_registered_model("pets").description == "what they said of it"


def test_a_models_name_belongs_to_the_tenant_that_was_first(tracking: Tracking, tmp_path: Path) -> None:
    register(tracking.config, tracking.store, export_job(tracking.store, "export-1", "cats", tenant="red"))
    theirs = export_job(tracking.store, "export-2", "dogs", tenant="blue")
    with pytest.raises(FailedPrecondition, match="models/pets is taken by another tenant; give another model_id"):
        register(tracking.config, tracking.store, theirs)
    registry = ModelRegistry(tracking.config, tracking.store)
    assert registry.registered("pets").owner == "red"
    tracking.mlflow.real.create_registered_model("by-hand")
    assert registry.registered("by-hand").owner is None


def test_a_version_that_does_not_exist_is_not_found(tracking: Tracking) -> None:
    registry = ModelRegistry(tracking.config, tracking.store)
    for ref in (ModelRef("pets", "1"), ModelRef("pets", alias="champion")):
        with pytest.raises(NotFound, match="export a learner to make it"):
            registry.resolve(ref)


def test_an_export_of_this_server_is_at_hand_without_a_download(tracking: Tracking) -> None:
    register(tracking.config, tracking.store, export_job(tracking.store, "export-1", "cats", "champion"))
    shutil.rmtree(tracking.config.artifact_root)
    folder, name = ModelRegistry(tracking.config, tracking.store).resolve(ModelRef("pets", alias="champion"))
    assert name == "models/pets/versions/1"
    verify(folder)


def test_a_model_that_was_deleted_and_exported_anew_is_the_new_one(tracking: Tracking) -> None:
    """Its versions are counted from 1 again."""
    register(tracking.config, tracking.store, export_job(tracking.store, "export-1", "cats"))
    registry = ModelRegistry(tracking.config, tracking.store)
    old, _ = registry.resolve(ModelRef("pets", "1"))
    tracking.mlflow.real.delete_registered_model("pets")
    job = export_job(tracking.store, "export-2", "dogs")
    tracking.store.put_checkpoint(Checkpoint("dogs", "dogs", "/nowhere", 20, 2, "c3d4", "o", 1, NOW))
    register(tracking.config, tracking.store, job, golden_export(1))
    new, name = registry.resolve(ModelRef("pets", "1"))
    assert name == "models/pets/versions/1"
    assert new != old
    assert (new / "model_card.md").exists()


def test_a_tag_that_somebody_wrote_leads_to_no_other_folder(tracking: Tracking) -> None:
    register(tracking.config, tracking.store, export_job(tracking.store, "export-1", "cats"))
    tracking.mlflow.real.set_model_version_tag("pets", "1", SHA256_TAG, "../../../a")
    folder, _ = ModelRegistry(tracking.config, tracking.store).resolve(ModelRef("pets", "1"))
    assert folder == tracking.config.data_dir / "models" / "pets" / "1"
    verify(folder)


def test_who_answers_for_models_is_told_what_was_made(tracking: Tracking) -> None:
    told: list[object] = []

    class News(NoNews):
        def changed(self, model_id: str, made: Sequence[ModelRef] = ()) -> None:
            told.append((model_id, list(made)))

    registry = ModelRegistry(tracking.config, tracking.store, News())
    job = export_job(tracking.store, "export-1", "cats", "champion")
    assert isinstance(job.work, ExportWork)
    registry.register(job, golden_export(), job.work)
    registry.remove("pets", "1")
    assert told == [("pets", [ModelRef("pets", "1"), ModelRef("pets", alias="champion")]), ("pets", [])]
