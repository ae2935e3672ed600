"""Interpreting models and other data, comparing, explaining, and reading what was found, over a real port."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import grpc
import pytest
from support.interpretations import HOSTILE, an_interpretation
from support.pictures import a_data_folder
from support.rpc_server import RunningServer, refusal

from learnfleet.client.interpretation import Interpretation
from learnfleet.server import names
from learnfleet.server.domain import Examined, InterpretWork, subject_of
from learnfleet.server.errors import FieldViolation, InvalidArgument
from learnfleet.server.rpc.ports import FoundModel
from learnfleet.server.workers.run import INTERPRETATION_DIR, INTERPRETATION_FILE
from learnfleet.trainer.data_spec import LabelKind
from learnfleet.trainer.export import export_from_checkpoint
from learnfleet.trainer.report import write_report
from learnfleet.trainer.spec import LearnerSpec
from learnfleet.v1 import interpretation_service_pb2 as pb
from learnfleet.v1 import job_pb2, learner_pb2, prediction_service_pb2, training_service_pb2

Make = Callable[..., training_service_pb2.TrainRequest]

MODEL = "models/pets/versions/1"
TRANSFORM = {"size": [224, 224], "resize_method": "crop", "mean": [0.5, 0.4, 0.3], "std": [0.2, 0.2, 0.2]}


@pytest.fixture
def trained(server: RunningServer, a_request: Make) -> str:
    name: str = server.training.Train(a_request(learner_id="pets"), timeout=20).name
    server.train_to_a_checkpoint(name)
    return name


@pytest.fixture
def exported(server: RunningServer, trained: str, tmp_path: Path) -> Path:
    """`models/pets/versions/1`, and `models/birds/versions/1` that knows other classes."""
    checkpoint = server.store.get_checkpoint("pets", names.parse_job(trained))
    spec = server.store.get_learner("pets").spec
    for model, classes in (("pets", ("cat", "dog")), ("birds", ("owl", "tit"))):
        folder = export_from_checkpoint(Path(checkpoint.path), tmp_path / model, spec, classes, TRANSFORM, {})
        name = f"models/{model}/versions/1"
        learner = "pets" if model == "pets" else None
        server.runtime.models[name] = server.runtime.models[f"models/{model}@newest"] = FoundModel(
            name, folder, learner
        )
    return tmp_path / "pets"


@pytest.fixture
def other_pets(root: Path) -> str:
    if not (root / "other").exists():
        a_data_folder(root / "other", classes=("cat", "dog"))
    return "other"


def work_of(server: RunningServer, job: job_pb2.Job) -> InterpretWork:
    work = server.store.get_job(names.parse_job(job.name)).work
    assert isinstance(work, InterpretWork)
    return work


def spec_of(examined: object) -> LearnerSpec:
    assert isinstance(examined, dict)
    return LearnerSpec.from_json(Examined.from_json(examined).spec)


def folder_of(path: str) -> learner_pb2.DataSpec:
    return learner_pb2.DataSpec(folder=learner_pb2.FolderSource(path=path))


def test_a_model_version_is_interpreted_by_its_learners_job_with_its_own_weights(
    server: RunningServer, exported: Path
) -> None:
    job = server.interpretation.Interpret(pb.InterpretRequest(model="models/pets@newest"), timeout=20)
    assert (job.kind, job.learner) == (job_pb2.JOB_KIND_INTERPRET, "learners/pets")
    subject = work_of(server, job).subject
    assert subject is not None
    assert (subject["name"], subject["export"]) == (MODEL, str(exported))
    data = spec_of(subject).data
    assert (Path(data.path).name, data.classes) == ("pets", ("cat", "dog"))
    assert data.normalization.mean == (0.5, 0.4, 0.3)


def test_predictions_of_a_model_version_are_a_job_on_its_own_weights(
    server: RunningServer, exported: Path, other_pets: str
) -> None:
    request = prediction_service_pb2.GetPredsRequest(model="models/pets@newest", data=folder_of(other_pets))
    job = server.prediction.GetPreds(request, timeout=20)
    assert (job.kind, job.learner) == (job_pb2.JOB_KIND_GET_PREDS, "learners/pets")
    work = server.store.get_job(names.parse_job(job.name)).work
    subject = subject_of(work)
    assert subject is not None
    assert (subject.name, subject.export) == (MODEL, str(exported))
    assert Path(LearnerSpec.from_json(subject.spec).data.path).name == "other"
    request.learner = "learners/pets"
    request.data.folder.path = "nowhere"
    refused = refusal(lambda: server.prediction.GetPreds(request, timeout=20))
    assert refused.fields == {"learner", "data.folder.path"}


def test_other_data_replace_the_source_and_nothing_else(server: RunningServer, trained: str, other_pets: str) -> None:
    request = pb.InterpretRequest(learner="learners/pets", data=folder_of(other_pets))
    request.data.size.rows = request.data.size.columns = 64
    data = spec_of(work_of(server, server.interpretation.Interpret(request, timeout=20)).subject).data
    own = server.store.get_learner("pets").spec.data
    assert Path(data.path).name == "other"
    assert (data.size, data.bs, data.normalization) == (own.size, own.bs, own.normalization)
    assert data.classes == ("cat", "dog")


def test_a_model_whose_learner_is_gone_needs_data_and_has_a_learner_made_for_it(
    server: RunningServer, exported: Path, root: Path
) -> None:
    request = pb.InterpretRequest(model="models/birds@newest")
    assert refusal(lambda: server.interpretation.Interpret(request, timeout=20)).fields == {"data"}
    request.data.CopyFrom(folder_of("pets"))
    assert refusal(lambda: server.interpretation.Interpret(request, timeout=20)).fields >= {"data.folder.path"}
    if not (root / "birds").exists():
        a_data_folder(root / "birds", classes=("owl", "tit"))
    request.data.CopyFrom(folder_of("birds"))
    job = server.interpretation.Interpret(request, timeout=20)
    assert server.store.get_learner(names.parse_learner(job.learner)).classes == ("owl", "tit")


def test_what_is_asked_for_reaches_the_job(server: RunningServer, trained: str) -> None:
    parts = [pb.INTERPRETATION_PART_CALIBRATION, pb.INTERPRETATION_PART_REPORT]
    request = pb.InterpretRequest(learner="learners/pets", parts=parts, slice_columns=["camera"], metadata="shots.csv")
    request.least_losses = 3
    work = work_of(server, server.interpretation.Interpret(request, timeout=20))
    wanted = InterpretWork(parts=("calibration", "report"), slice_columns=("camera",), metadata="shots.csv")
    assert work == dataclasses.replace(wanted, least_losses=3)


def test_every_wrong_field_is_named(server: RunningServer, trained: str, exported: Path) -> None:
    request = pb.InterpretRequest(
        learner="learners/pets",
        model=MODEL,
        parts=[99],  # type: ignore[list-item]
        slice_columns=[""],
        metadata="../secret.csv",
        top_losses=1000,
        least_losses=101,
        data=folder_of("nowhere"),
        request_id="x",
    )
    refused = refusal(lambda: server.interpretation.Interpret(request, timeout=20))
    told = {"learner", "parts[0]", "slice_columns[0]", "metadata", "top_losses", "data.folder.path", "request_id"}
    told.add("least_losses")
    assert refused.fields == told
    assert refusal(lambda: server.interpretation.Interpret(pb.InterpretRequest(), timeout=20)).fields == {"learner"}
    masks = pb.InterpretRequest(model=MODEL, data=folder_of("pets"))
    masks.data.labels = learner_pb2.LABEL_KIND_MULTI_CATEGORY
    assert refusal(lambda: server.interpretation.Interpret(masks, timeout=20)).fields == {"data.labels"}
    void = pb.InterpretRequest(model=MODEL, void_class="cat")
    refused = refusal(lambda: server.interpretation.Interpret(void, timeout=20))
    assert "only for masks" in refused.violations["void_class"]
    missing = pb.InterpretRequest(model="models/nobody@x")
    refused = refusal(lambda: server.interpretation.Interpret(missing, timeout=20))
    assert refused.code is grpc.StatusCode.NOT_FOUND


def test_two_versions_are_compared_on_the_candidates_data(server: RunningServer, exported: Path, trained: str) -> None:
    checkpoint = f"learners/pets/checkpoints/{names.parse_job(trained)}"
    server.runtime.models["learners/pets"] = FoundModel(checkpoint, exported, "pets")
    request = pb.CompareVersionsRequest(baseline=MODEL, candidate="learners/pets", examples=7)
    job = server.interpretation.CompareVersions(request, timeout=20)
    work = work_of(server, job)
    assert (job.kind, work.examples) == (job_pb2.JOB_KIND_INTERPRET, 7)
    assert work.subject is not None
    assert work.baseline is not None
    assert (work.subject["name"], work.baseline["name"]) == (checkpoint, MODEL)
    assert spec_of(work.subject).data == spec_of(work.baseline).data


def test_models_of_other_classes_cannot_be_compared(server: RunningServer, exported: Path) -> None:
    request = pb.CompareVersionsRequest(baseline="models/birds@newest", candidate=MODEL)
    assert refusal(lambda: server.interpretation.CompareVersions(request, timeout=20)).fields == {"baseline"}
    wrong = pb.CompareVersionsRequest(candidate="pets", examples=1000, request_id="x")
    refused = refusal(lambda: server.interpretation.CompareVersions(wrong, timeout=20))
    assert refused.fields == {"baseline", "candidate", "examples", "request_id"}


def test_models_of_numbers_cannot_be_compared(server: RunningServer, trained: str, tmp_path: Path) -> None:
    checkpoint = server.store.get_checkpoint("pets", names.parse_job(trained))
    spec = server.store.get_learner("pets").spec
    numbers = dataclasses.replace(spec, data=dataclasses.replace(spec.data, labels=LabelKind.FLOAT))
    folder = export_from_checkpoint(Path(checkpoint.path), tmp_path / "ages", numbers, ("age",), TRANSFORM, {})
    for version in ("1", "2"):
        name = f"models/ages/versions/{version}"
        server.runtime.models[name] = FoundModel(name, folder, "pets")
    request = pb.CompareVersionsRequest(baseline="models/ages/versions/1", candidate="models/ages/versions/2")
    refused = refusal(lambda: server.interpretation.CompareVersions(request, timeout=20))
    assert "predicts FLOAT" in refused.violations["candidate"]


def test_a_prediction_is_explained(server: RunningServer) -> None:
    request = pb.ExplainPredictionRequest(model=MODEL, image=b"jpeg", method=pb.EXPLANATION_METHOD_OCCLUSION)
    answer = server.interpretation.ExplainPrediction(request, timeout=20)
    assert (answer.overlay, answer.rows, answer.columns, len(answer.map)) == (b"png", 2, 3, 24)
    assert (answer.class_name, answer.method, answer.model_used) == ("dog", pb.EXPLANATION_METHOD_OCCLUSION, MODEL)
    wrong = pb.ExplainPredictionRequest(model="x", method=9)  # type: ignore[arg-type]
    refused = refusal(lambda: server.interpretation.ExplainPrediction(wrong, timeout=20))
    assert refused.fields == {"model", "image", "method"}
    server.runtime.error = InvalidArgument([FieldViolation("class_name", "'cow' is no class of the model")])
    refused = refusal(lambda: server.interpretation.ExplainPrediction(request, timeout=20))
    assert refused.fields == {"class_name"}


@pytest.fixture
def done(server: RunningServer, trained: str) -> str:
    """An interpretation with all its parts."""
    job = server.interpretation.Interpret(pb.InterpretRequest(learner="learners/pets"), timeout=20)
    job_id = names.parse_job(job.name)
    folder = server.config.job_dir("pets", job_id) / INTERPRETATION_DIR
    found = an_interpretation(folder)
    (folder / INTERPRETATION_FILE).write_text(json.dumps(found))
    write_report(found, folder)
    server.finish(job.name, {"interpretation_id": job_id})
    return names.interpretation_name(job_id)


def test_all_that_was_found_is_told(server: RunningServer, done: str) -> None:
    message = server.interpretation.GetInterpretation(pb.GetInterpretationRequest(name=done), timeout=20)
    found = Interpretation.from_proto(message)
    assert found.calibration is not None
    assert (found.calibration.temperature, found.calibration.bins[0].accuracy) == (1.42, None)
    assert [curve.class_name for curve in found.curves] == ["ant", "bee", HOSTILE]
    assert (found.label_issues[0].suggested, found.label_issues[0].picture) == ("bee", "item_1.png")
    assert [item.index for item in found.duplicates[0].items] == [5, 6]
    assert (len(found.outliers), found.slices[0].column, found.slices[0].value) == (6, "camera", "phone")
    assert found.comparison is not None
    assert (found.comparison.fixed, found.comparison.broken) == (14, 5)
    assert (found.found.top_losses[3].heat_map, "report.html" in found.files) == ("heat_3.png", True)


def test_interpretations_are_listed_page_by_page(server: RunningServer, done: str) -> None:
    page = server.interpretation.ListInterpretations(pb.ListInterpretationsRequest(page_size=1), timeout=20)
    (listed,) = page.interpretations
    assert (listed.name, listed.learner, listed.examples, len(listed.top_losses)) == (done, "learners/pets", 180, 0)
    other = pb.ListInterpretationsRequest(learner="learners/other")
    assert not server.interpretation.ListInterpretations(other, timeout=20).interpretations
    wrong = pb.ListInterpretationsRequest(page_size=-1, learner="x")
    refused = refusal(lambda: server.interpretation.ListInterpretations(wrong, timeout=20))
    assert refused.fields == {"page_size", "learner"}


def read(server: RunningServer, name: str, file: str = "") -> list[pb.ReadInterpretationFileResponse]:
    request = pb.ReadInterpretationFileRequest(name=name, file=file)
    return list(server.interpretation.ReadInterpretationFile(request, timeout=20))


def test_the_report_and_pictures_are_read_in_chunks(server: RunningServer, done: str) -> None:
    folder = server.config.job_dir("pets", names.parse_interpretation(done)) / INTERPRETATION_DIR
    (folder / "large.bin").write_bytes(bytes(range(256)) * 10_000)
    chunks = read(server, done, "large.bin")
    assert (len(chunks), chunks[0].size_bytes) == (3, 2_560_000)
    assert b"".join(chunk.content for chunk in chunks) == bytes(range(256)) * 10_000
    first, *_ = read(server, done)
    assert (first.media_type, first.content[:15].lower()) == ("text/html", b"<!doctype html>")


@pytest.mark.parametrize("file", ["../interpretation.json", "/etc/passwd", "nothing.png", ".hidden", "."])
def test_only_files_of_the_interpretation_are_given(server: RunningServer, done: str, file: str) -> None:
    folder = server.config.job_dir("pets", names.parse_interpretation(done)) / INTERPRETATION_DIR
    (folder / ".hidden").write_text("not done")
    assert refusal(lambda: read(server, done, file)).fields == {"file"}
