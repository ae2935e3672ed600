"""EXPORT jobs: what a worker adds, what becomes of them when it cannot, and what the card knows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.fake_cluster import NOW, Fleet

from learnfleet.server.config import Config
from learnfleet.server.domain import (
    Cause,
    Checkpoint,
    ExportWork,
    InterpretWork,
    Job,
    JobKind,
    JobState,
    Learner,
    NewEvent,
    Resources,
    TrainWork,
)
from learnfleet.server.errors import FailedPrecondition, Unavailable
from learnfleet.server.tracking.card_facts import facts_of
from learnfleet.server.workers.cluster import RayCluster
from learnfleet.server.workers.host_process import HostLost
from learnfleet.server.workers.protocol import WorkerDied
from learnfleet.server.workers.run import INTERPRETATION_DIR, INTERPRETATION_FILE
from learnfleet.trainer import manifest
from learnfleet.trainer.data_spec import DatasetRef
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.model_card import ConfusedPair, DataFacts, OnnxFacts
from learnfleet.trainer.spec import DataSpec, FitStage, LearnerSpec

MADE = OnnxFacts("model.onnx", 20, 1e-6, 6, "onnxruntime")


class Registry:
    """Takes whatever comes, or raises."""

    error: Exception | None = None
    failures = 0  # so many times first

    def expect(self) -> None:
        pass

    def register(self, job: Job, export: Path, work: ExportWork) -> str:
        self.failures -= 1
        if self.failures >= 0:
            raise ConnectionError("no registry there")
        if self.error is not None:
            raise self.error
        return "1"


@pytest.fixture
def fleet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Fleet]:
    for name in ("make_export", "facts_of"):
        monkeypatch.setattr(f"learnfleet.server.scheduling.export.{name}", lambda *_: None)
    monkeypatch.setattr("learnfleet.server.scheduling.export._CLUSTER_PAUSE_S", 0.01)
    made = Fleet(tmp_path)
    made.scheduler.registry = Registry()  # type: ignore[assignment]
    yield made
    made.close()


def export(fleet: Fleet, *answers: object, onnx: bool = True) -> list[bool]:
    """Queue an EXPORT job `one`; its worker answers so, one after the other. What it was asked each time."""
    asked: list[bool] = []
    left = iter(answers)

    def complete(folder: Path, *, onnx: bool) -> object:
        asked.append(onnx)
        answer = next(left)
        if isinstance(answer, Exception):
            raise answer
        return answer

    fleet.cluster.complete_export = complete  # type: ignore[method-assign, assignment]
    learner = Learner("one", LearnerSpec(DataSpec("/data"), "resnet18"), NOW, NOW, checkpoint_id="c")
    work = ExportWork("m", (), onnx)
    job = Job("one", "one", JobKind.EXPORT, work, Resources(), JobState.QUEUED, "", NOW, NOW)
    fleet.store.create_job(job, learner=learner, fingerprint="f")
    fleet.store.put_checkpoint(Checkpoint("one", "c", "/nowhere", 1, 1, "a", "b", 1, NOW))
    fleet.scheduler.start()
    return asked


def test_what_became_of_onnx_is_in_the_jobs_result(fleet: Fleet) -> None:
    asked = export(fleet, MADE)
    result = fleet.until_state("one", JobState.SUCCEEDED).result
    assert result == {"model_version": "models/m/versions/1", "exact": True, "onnx": MADE.to_json()}
    assert asked == [True]


def test_an_export_without_onnx_has_none_in_its_result(fleet: Fleet) -> None:
    asked = export(fleet, None, onnx=False)
    assert "onnx" not in (fleet.until_state("one", JobState.SUCCEEDED).result or {})
    assert asked == [False]


def test_an_export_waits_for_the_cluster(fleet: Fleet) -> None:
    export(fleet, *[Unavailable("Ray cannot be reached")] * 8, HostLost(), MADE)
    assert fleet.until_state("one", JobState.SUCCEEDED).attempt == 1


def test_a_model_that_cannot_be_loaded_again_is_the_users_to_mend_and_is_not_tried_twice(fleet: Fleet) -> None:
    asked = export(fleet, LearnerError("architecture", "`mine` is not registered"))
    job = fleet.until_state("one", JobState.FAILED)
    assert (job.cause, job.reason) == (Cause.USER, "architecture: `mine` is not registered")
    assert asked == [True]


def test_an_export_that_the_registry_does_not_take_at_first_is_not_made_again(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("learnfleet.server.scheduling.export._PAUSES_S", (0.01, 0.01))
    fleet.scheduler.registry.failures = 2  # type: ignore[attr-defined]
    asked = export(fleet, MADE)
    assert (fleet.until_state("one", JobState.SUCCEEDED).result or {})["onnx"] == MADE.to_json()
    assert asked == [True]


def test_a_name_that_another_tenant_has_fails_the_job_with_what_to_do(fleet: Fleet) -> None:
    fleet.scheduler.registry.error = FailedPrecondition("models/m", "give another model_id")  # type: ignore[attr-defined]
    export(fleet, MADE)
    job = fleet.until_state("one", JobState.FAILED)
    assert (job.cause, job.reason) == (Cause.USER, "give another model_id")


class ClusterOf(RayCluster):
    """Its host answers so, one after the other."""

    def __init__(self, folder: Path, *answers: object) -> None:
        super().__init__(Config(folder))
        self.asked: list[tuple[bool, str]] = []
        self._answers = iter(answers)

    def wait(self) -> Any:
        return self

    def complete_export(self, folder: Any, onnx: bool, why_not: str = "") -> Any:  # type: ignore[override]
        if not isinstance(folder, str):
            return super().complete_export(folder, onnx=onnx)
        self.asked.append((onnx, why_not))
        answer = next(self._answers)
        if isinstance(answer, Exception):
            raise answer
        return answer


def test_a_worker_that_onnx_is_too_much_for_makes_the_export_without_it(tmp_path: Path) -> None:
    cluster = ClusterOf(tmp_path, WorkerDied("the export was not complete after 600 s"), OnnxFacts(reason="r"))
    assert cluster.complete_export(tmp_path, True) == OnnxFacts(reason="r")
    (first, second) = cluster.asked
    assert first == (True, "")
    assert second == (False, "the export was not complete after 600 s")
    cluster.close()


def test_a_host_process_that_dies_is_no_fault_of_onnx(tmp_path: Path) -> None:
    cluster = ClusterOf(tmp_path, HostLost())
    with pytest.raises(Unavailable):
        cluster.complete_export(tmp_path, True)
    cluster.close()


# -- what the card knows


def trained(fleet: Fleet, folder: Path) -> Checkpoint:
    """The state that job `fit` of learner `pets` has come to."""
    data = DataSpec("/data", dataset=DatasetRef("datasets/pets/versions/3", ""))
    learner = Learner("pets", LearnerSpec(data, "resnet18"), NOW, NOW)
    job = Job("fit", "pets", JobKind.TRAIN, TrainWork((FitStage(1),)), Resources(), JobState.QUEUED, "", NOW, NOW)
    fleet.store.create_job(job, learner=learner, fingerprint="f")
    told = {"classes": ["cat", "dog"], "counts": {"train": 20, "valid": 8}, "skipped": 0}
    fleet.store.append_events("fit", [NewEvent("data", "data", told, NOW, 1)])
    folder.mkdir()
    (folder / manifest.MODEL_FILE).write_bytes(b"weights")
    manifest.write_manifest(folder, job_id="fit", attempt=1, step=10, epoch=1)
    checkpoint = Checkpoint("pets", "fit", str(folder), 10, 1, "a", "b", 1, NOW)
    fleet.store.put_checkpoint(checkpoint)
    return checkpoint


def interpreted(fleet: Fleet, config: Config, checkpoint_id: str) -> str:
    """The id of an interpretation of a state."""
    job_id = f"of-{checkpoint_id}"
    work = InterpretWork()
    job = Job(job_id, "pets", JobKind.INTERPRET, work, Resources(), JobState.QUEUED, "", NOW, NOW)
    fleet.store.create_job(job, learner=None, fingerprint="f")
    fleet.store.transition(job_id, JobState.STARTING, attempt=1, start_checkpoint_id=checkpoint_id)
    fleet.store.transition(job_id, JobState.RUNNING)
    fleet.store.transition(job_id, JobState.SUCCEEDED)
    folder = config.job_dir("pets", job_id) / INTERPRETATION_DIR
    folder.mkdir(parents=True)
    found = {
        "confusion_matrix": [[3, 1], [0, 4]],
        "accuracy": 0.875,
        "examples": 8,
        "most_confused": [{"actual": "cat", "predicted": "dog", "count": 1}],
    }
    (folder / INTERPRETATION_FILE).write_text(json.dumps(found))
    return job_id


def test_the_card_has_counts_the_data_set_and_the_interpretation_of_this_very_state(
    tmp_path: Path, fleet: Fleet
) -> None:
    config = Config(tmp_path)
    checkpoint = trained(fleet, tmp_path / "checkpoint")
    facts = facts_of(checkpoint, config, fleet.store)
    assert facts.data == DataFacts("datasets/pets/versions/3", 20, 8)
    assert (facts.learner, facts.confusion) == ("learners/pets", None)
    interpreted(fleet, config, "another")
    assert facts_of(checkpoint, config, fleet.store).confusion is None
    job_id = interpreted(fleet, config, "fit")
    found = facts_of(checkpoint, config, fleet.store).confusion
    assert found is not None
    assert (found.source, found.examples, found.accuracy) == (f"interpretations/{job_id}", 8, 0.875)
    assert found.most_confused == (ConfusedPair("cat", "dog", 1),)
    assert found.matrix == ((3, 1), (0, 4))
    (config.job_dir("pets", job_id) / INTERPRETATION_DIR / INTERPRETATION_FILE).write_text("{}")
    assert facts_of(checkpoint, config, fleet.store).confusion is None
