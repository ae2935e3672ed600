"""Saving, loading, exporting and interpreting learners over a real port."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import grpc
import pytest
from support.mlflow_server import until
from support.rpc_server import RunningServer, refusal

from learnfleet.server import names
from learnfleet.server.domain import Group, Resources
from learnfleet.server.errors import FieldViolation, InvalidArgument, Unavailable
from learnfleet.server.workers.run import INTERPRETATION_DIR, INTERPRETATION_FILE
from learnfleet.trainer import manifest
from learnfleet.v1 import interpretation_service_pb2 as interpretation_pb
from learnfleet.v1 import job_pb2, job_service_pb2, prediction_service_pb2, training_service_pb2

Make = Callable[..., training_service_pb2.TrainRequest]
Save = training_service_pb2.SaveRequest
PRECONDITION = grpc.StatusCode.FAILED_PRECONDITION


@pytest.fixture
def trained(server: RunningServer, a_request: Make) -> str:
    """The name of the job that trained `learners/pets`."""
    name: str = server.training.Train(a_request(learner_id="pets"), timeout=20).name
    server.train_to_a_checkpoint(name)
    return name


def load(server: RunningServer, checkpoint: str) -> object:
    return server.training.Load(training_service_pb2.LoadRequest(checkpoint=checkpoint), timeout=20)


def test_a_state_that_was_saved_is_gone_back_to(server: RunningServer, a_request: Make, trained: str) -> None:
    saved = server.training.Save(Save(learner="learners/pets", checkpoint_id="best"), timeout=20)
    assert (saved.name, saved.step, saved.epoch) == ("learners/pets/checkpoints/best", 10, 3)
    again = server.training.Train(a_request(learner="learners/pets"), timeout=20)
    later = server.train_to_a_checkpoint(again.name, b"other weights")
    learner = load(server, saved.name)
    assert (learner.checkpoint, learner.epochs_trained, learner.frozen_to) == (saved.name, 3, 2)
    assert later.model_sha256 != saved.model_sha256


def test_a_saved_state_outlives_the_checkpoint_it_was_saved_from(server: RunningServer, trained: str) -> None:
    saved = server.training.Save(Save(learner="learners/pets", checkpoint_id="best"), timeout=20)
    source = server.store.get_checkpoint("pets", names.parse_job(trained))
    for path in Path(source.path).iterdir():
        path.unlink()
    kept = manifest.verify(Path(server.store.get_checkpoint("pets", "best").path))
    assert kept.model_sha256 == saved.model_sha256


def test_saving_under_a_used_name_replaces_it(server: RunningServer, a_request: Make, trained: str) -> None:
    first = server.training.Save(Save(learner="learners/pets", checkpoint_id="best"), timeout=20)
    again = server.training.Train(a_request(learner="learners/pets"), timeout=20)
    server.train_to_a_checkpoint(again.name, b"other weights")
    second = server.training.Save(Save(learner="learners/pets", checkpoint_id="best"), timeout=20)
    assert second.name == first.name
    assert second.model_sha256 != first.model_sha256


def test_saves_under_one_name_at_once_are_one_after_the_other(server: RunningServer, trained: str) -> None:
    """A caller whose answer was late has asked again."""
    asked = [server.training.Save.future(Save(learner="learners/pets", checkpoint_id="best"), timeout=60)]
    asked += [server.training.Save.future(Save(learner="learners/pets", checkpoint_id="best")) for _ in range(15)]
    assert {call.result().name for call in asked} == {"learners/pets/checkpoints/best"}
    assert manifest.verify(Path(server.store.get_checkpoint("pets", "best").path)).step == 10


@pytest.fixture
def with_moments(server: RunningServer, a_request: Make) -> str:
    """The job that trained `learners/pets` to a state with an optimiser."""
    name: str = server.training.Train(a_request(learner_id="pets"), timeout=20).name
    server.train_to_a_checkpoint(name, moments=b"moments")
    return name


def test_a_state_is_saved_without_its_optimiser_if_asked_for(server: RunningServer, with_moments: str) -> None:
    whole = server.training.Save(Save(learner="learners/pets", checkpoint_id="whole"), timeout=20)
    request = Save(learner="learners/pets", checkpoint_id="light", with_opt=False)
    light = server.training.Save(request, timeout=20)
    assert (whole.optimizer_sha256 != "", light.optimizer_sha256) == (True, "")
    assert (light.model_sha256, light.step) == (whole.model_sha256, whole.step)
    folder = Path(server.store.get_checkpoint("pets", "light").path)
    assert manifest.verify(folder).optimizer_sha256 == ""
    assert not (folder / manifest.OPTIMIZER_FILE).exists()
    demanding = training_service_pb2.LoadRequest(checkpoint=light.name, with_opt=True)
    refused = refusal(lambda: server.training.Load(demanding, timeout=20))
    assert (refused.code, "without its optimiser" in refused.message) == (PRECONDITION, True)
    load(server, whole.name)
    again = Save(learner="learners/pets", checkpoint_id="whole", with_opt=False)  # what it is at would lose it
    assert refusal(lambda: server.training.Save(again, timeout=20)).code is PRECONDITION
    assert server.store.get_checkpoint("pets", "whole").optimizer_sha256 == whole.optimizer_sha256


def test_a_state_is_loaded_without_its_optimiser_and_stays_whole(server: RunningServer, with_moments: str) -> None:
    whole = server.training.Save(Save(learner="learners/pets", checkpoint_id="whole"), timeout=20)
    request = training_service_pb2.LoadRequest(checkpoint=whole.name, with_opt=False)
    learner = server.training.Load(request, timeout=20)
    at = server.store.get_checkpoint(*names.parse_checkpoint(learner.checkpoint))
    assert (at.model_sha256, at.optimizer_sha256) == (whole.model_sha256, "")
    assert manifest.verify(Path(at.path)).model_sha256 == whole.model_sha256
    assert server.training.Load(request, timeout=20).checkpoint == learner.checkpoint  # and not another copy
    kept = server.training.Load(training_service_pb2.LoadRequest(checkpoint=whole.name, with_opt=True), timeout=20)
    assert kept.checkpoint == whole.name


def test_a_learner_that_was_never_trained_has_nothing_to_save(server: RunningServer, a_request: Make) -> None:
    server.training.Train(a_request(learner_id="pets"), timeout=20)
    refused = refusal(lambda: server.training.Save(Save(learner="learners/pets", checkpoint_id="x"), timeout=20))
    assert refused.code is PRECONDITION
    assert "train it first" in refused.message


def test_a_learner_at_work_is_not_put_back(server: RunningServer, a_request: Make, trained: str) -> None:
    saved = server.training.Save(Save(learner="learners/pets", checkpoint_id="best"), timeout=20)
    job = server.training.Train(a_request(learner="learners/pets"), timeout=20)
    refused = refusal(lambda: load(server, saved.name))
    assert refused.code is PRECONDITION
    assert job.name in refused.message


def test_workers_are_given_back_unless_they_are_at_work(server: RunningServer, a_request: Make, trained: str) -> None:
    ask = training_service_pb2.PurgeRequest(learner="learners/pets")
    learner = server.training.Purge(ask, timeout=20)
    assert (learner.name, server.runtime.released) == ("learners/pets", ["pets"])
    job = server.training.Train(a_request(learner="learners/pets"), timeout=20)
    refused = refusal(lambda: server.training.Purge(ask, timeout=20))
    assert (refused.code, job.name in refused.message) == (PRECONDITION, True)


def test_a_learner_is_deleted_with_its_jobs_files_and_workers_once_its_jobs_have_ended(
    server: RunningServer, a_request: Make, trained: str
) -> None:
    delete = training_service_pb2.DeleteLearnerRequest(name="learners/pets")
    job = server.training.Train(a_request(learner="learners/pets"), timeout=20)
    refused = refusal(lambda: server.training.DeleteLearner(delete, timeout=20))
    assert (refused.code, job.name in refused.message) == (PRECONDITION, True)
    assert server.runtime.released == []
    server.jobs.CancelJob(job_service_pb2.CancelJobRequest(name=job.name), timeout=20)
    folder = server.config.learner_dir("pets")
    assert folder.exists()
    server.training.DeleteLearner(delete, timeout=20)
    assert server.runtime.released == ["pets"]
    assert list(folder.parent.iterdir()) == []
    for name in (trained, job.name):
        gone = refusal(lambda name=name: server.jobs.GetJob(job_service_pb2.GetJobRequest(name=name), timeout=20))
        assert gone.code is grpc.StatusCode.NOT_FOUND
    assert refusal(lambda: server.training.DeleteLearner(delete, timeout=20)).code is grpc.StatusCode.NOT_FOUND
    again = server.training.Train(a_request(learner_id="pets"), timeout=20)
    assert again.learner == "learners/pets"


def test_a_learner_is_deleted_when_its_workers_have_been_ended_by_another_server(
    server: RunningServer, a_request: Make, trained: str
) -> None:
    server.store.put_group(Group("pets", 1, Resources(2), "namespace"))
    delete = training_service_pb2.DeleteLearnerRequest(name="learners/pets")
    call = server.training.DeleteLearner.future(delete, timeout=20)
    until(lambda: bool(server.runtime.released))
    assert not call.done()
    server.store.delete_group("pets")
    call.result()


def test_a_damaged_checkpoint_is_not_loaded(server: RunningServer, trained: str) -> None:
    saved = server.training.Save(Save(learner="learners/pets", checkpoint_id="best"), timeout=20)
    model = Path(server.store.get_checkpoint("pets", "best").path) / manifest.MODEL_FILE
    model.unlink()
    model.write_bytes(b"wEights")
    refused = refusal(lambda: load(server, saved.name))
    assert refused.code is PRECONDITION
    missing = refusal(lambda: load(server, "learners/pets/checkpoints/nobody"))
    assert missing.code is grpc.StatusCode.NOT_FOUND


def test_a_finished_job_says_what_it_came_to(server: RunningServer, trained: str) -> None:
    checkpoint = server.store.get_checkpoint("pets", names.parse_job(trained))
    request = job_service_pb2.ListJobsRequest(learner="learners/pets")
    (listed,) = server.jobs.ListJobs(request, timeout=20).jobs
    assert listed.result.metrics["accuracy"] == 0.9
    assert listed.result.checkpoint.model_sha256 == checkpoint.model_sha256
    assert listed.result.exact


def test_export_and_interpret_need_a_state_or_a_job_that_will_make_one(server: RunningServer, a_request: Make) -> None:
    job = server.training.Train(a_request(learner_id="pets"), timeout=20)
    export = training_service_pb2.ExportRequest(learner="learners/pets", aliases=["champion"])
    interpret = interpretation_pb.InterpretRequest(learner="learners/pets")
    queued = [
        server.training.Export(export, timeout=20),
        server.interpretation.Interpret(interpret, timeout=20),
    ]
    assert [made.kind for made in queued] == [job_pb2.JOB_KIND_EXPORT, job_pb2.JOB_KIND_INTERPRET]
    for made in (job, *queued):
        server.jobs.CancelJob(job_service_pb2.CancelJobRequest(name=made.name), timeout=20)
    refusals = [
        refusal(lambda: server.training.Export(export, timeout=20)),
        refusal(lambda: server.interpretation.Interpret(interpret, timeout=20)),
    ]
    assert {refused.code for refused in refusals} == {PRECONDITION}


def test_an_interpretation_is_read_when_its_job_is_done(server: RunningServer, trained: str) -> None:
    job = server.interpretation.Interpret(interpretation_pb.InterpretRequest(learner="learners/pets"), timeout=20)
    name = names.interpretation_name(names.parse_job(job.name))
    ask = interpretation_pb.GetInterpretationRequest(name=name)
    refused = refusal(lambda: server.interpretation.GetInterpretation(ask, timeout=20))
    assert (refused.code, "QUEUED" in refused.message) == (PRECONDITION, True)
    write_interpretation(server.config.job_dir("pets", names.parse_job(job.name)) / INTERPRETATION_DIR)
    server.finish(job.name, {"interpretation_id": names.parse_job(job.name)})
    found = server.interpretation.GetInterpretation(ask, timeout=20)
    assert [list(row.counts) for row in found.confusion_matrix.rows] == [[3, 1], [0, 4]]
    assert (found.most_confused[0].actual, found.most_confused[0].count) == ("cat", 1)
    assert (found.top_losses[0].path, found.pictures[0].content) == ("valid/cat/1.png", b"png")
    assert found.learner == "learners/pets"


def write_interpretation(folder: Path) -> None:
    """What an INTERPRET job leaves (trainer/run.py: run_interpret)."""
    folder.mkdir(parents=True)
    (folder / "confusion_matrix.png").write_bytes(b"png")
    loss = {"index": 1, "predicted": "dog", "actual": "cat", "loss": 2.0, "probability": 0.1, "path": "valid/cat/1.png"}
    picture = {"name": "confusion_matrix", "path": "/elsewhere/confusion_matrix.png", "media_type": "image/png"}
    found = {
        "classes": ["cat", "dog"],
        "examples": 8,
        "accuracy": 0.875,
        "loss": 0.4,
        "confusion_matrix": [[3, 1], [0, 4]],
        "most_confused": [{"actual": "cat", "predicted": "dog", "count": 1}],
        "top_losses": [loss],
        "skipped_images": 0,
        "pictures": [picture],
    }
    (folder / INTERPRETATION_FILE).write_text(json.dumps(found))


def test_an_interpretation_of_another_kind_of_job_does_not_exist(server: RunningServer, trained: str) -> None:
    for job_id in (names.parse_job(trained), "nobody"):
        ask = interpretation_pb.GetInterpretationRequest(name=names.interpretation_name(job_id))
        refused = refusal(lambda ask=ask: server.interpretation.GetInterpretation(ask, timeout=20))
        assert refused.code is grpc.StatusCode.NOT_FOUND


def test_a_prediction_is_the_triple_with_the_likeliest_classes_first(server: RunningServer) -> None:
    request = prediction_service_pb2.PredictRequest(model="models/pets@champion", image=b"picture", top_k=2)
    answer = server.prediction.Predict(request, timeout=20)
    assert (answer.prediction.class_name, answer.prediction.class_index) == ("dog", 1)
    assert list(answer.prediction.probabilities) == [0.2, 0.7, 0.1]
    assert [(top.class_name, top.class_index) for top in answer.prediction.top] == [("dog", 1), ("cat", 0)]
    assert answer.model_used == "models/pets@champion"


def test_errors_from_behind_the_servicers_reach_the_caller_and_faults_do_not_tell_their_text(
    server: RunningServer,
) -> None:
    request = prediction_service_pb2.PredictRequest(model="learners/pets", image=b"picture")
    server.inference.error = InvalidArgument([FieldViolation("image", "is truncated")])
    assert refusal(lambda: server.prediction.Predict(request, timeout=20)).fields == {"image"}
    server.inference.error = Unavailable("the cluster is starting")
    assert refusal(lambda: server.prediction.Predict(request, timeout=20)).code is grpc.StatusCode.UNAVAILABLE
    server.inference.error = RuntimeError("secret of the house")
    with pytest.raises(grpc.RpcError) as caught:
        server.prediction.Predict(request, timeout=20)
    assert caught.value.code() is grpc.StatusCode.INTERNAL
    assert "secret" not in caught.value.details()
