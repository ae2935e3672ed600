"""Validating, predicting data sets and drawing, over a real port: what is queued, and how results are read."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import grpc
import numpy as np
import pytest
from safetensors.numpy import save_file
from support.rpc_server import RunningServer, refusal

from learnfleet.client.predictions import Predictions
from learnfleet.server import names
from learnfleet.server.domain import JobState, NewEvent, PredsWork, ShowWork, ValidateWork
from learnfleet.server.workers.run import PICTURES_DIR, PREDICTIONS_DIR
from learnfleet.trainer.spec import Component
from learnfleet.v1 import interpretation_service_pb2, job_pb2, job_service_pb2, learner_pb2, training_service_pb2
from learnfleet.v1 import prediction_service_pb2 as pb

Make = Callable[..., training_service_pb2.TrainRequest]


@pytest.fixture
def trained(server: RunningServer, a_request: Make) -> str:
    name: str = server.training.Train(a_request(learner_id="pets"), timeout=20).name
    server.train_to_a_checkpoint(name)
    return name


def stored_work(server: RunningServer, job: job_pb2.Job) -> object:
    return server.store.get_job(names.parse_job(job.name)).work


def test_validation_is_queued_with_its_data_set_and_metrics(server: RunningServer, trained: str) -> None:
    metric = learner_pb2.Component(name="top_k_accuracy")
    metric.arguments.update({"k": 3})
    request = training_service_pb2.ValidateRequest(
        learner="learners/pets", dataset=learner_pb2.DATASET_TYPE_FIX, metrics=[metric]
    )
    job = server.training.Validate(request, timeout=20)
    assert job.kind == job_pb2.JOB_KIND_VALIDATE
    assert stored_work(server, job) == ValidateWork("fix", (Component("top_k_accuracy", {"k": 3}),))
    plain = server.training.Validate(training_service_pb2.ValidateRequest(learner="learners/pets"), timeout=20)
    assert stored_work(server, plain) == ValidateWork("valid", None)


def test_every_wrong_field_of_an_examination_is_named(server: RunningServer, trained: str) -> None:
    metric = learner_pb2.Component(name="nonsense")
    request = training_service_pb2.ValidateRequest(learner="pets", dataset=4, metrics=[metric], request_id="1")  # type: ignore[arg-type]
    refused = refusal(lambda: server.training.Validate(request, timeout=20))
    assert refused.fields == {"learner", "dataset", "metrics[0].name", "request_id"}
    preds = pb.GetPredsRequest(learner="learners/pets", n_batch=-1)
    preds.tta.beta = 2.0
    refused = refusal(lambda: server.prediction.GetPreds(preds, timeout=20))
    assert refused.fields == {"n_batch", "tta.beta"}
    show = interpretation_service_pb2.ShowResultsRequest(learner="learners/pets", rows=99)
    assert refusal(lambda: server.interpretation.ShowResults(show, timeout=20)).fields == {"rows"}


def test_test_time_augmentation_and_activation_reach_the_job(server: RunningServer, trained: str) -> None:
    def work_of(**options: object) -> object:
        request = pb.GetPredsRequest(learner="learners/pets", **options)  # type: ignore[arg-type]
        return stored_work(server, server.prediction.GetPreds(request, timeout=20))

    assert work_of(activation=pb.ACTIVATION_NONE) == PredsWork(activ="none")
    assert work_of(tta=pb.TestTimeAugmentation()) == PredsWork(tta_beta=0.4)
    passes = work_of(tta=pb.TestTimeAugmentation(passes=3, use_max=True))
    assert passes == PredsWork(tta_beta=0.25, tta_passes=3, tta_use_max=True)
    assert work_of(tta=pb.TestTimeAugmentation(scale=1.5, apart=True)) == PredsWork(tta_scale=1.5, tta_apart=True)


def test_augmentations_that_do_not_go_together_are_named(server: RunningServer, trained: str) -> None:
    def fields_of(**options: object) -> set[str]:
        request = pb.GetPredsRequest(learner="learners/pets", **options)  # type: ignore[arg-type]
        return refusal(lambda: server.prediction.GetPreds(request, timeout=20)).fields

    tta = pb.TestTimeAugmentation
    assert fields_of(activation=9, tta=tta(passes=101)) == {"activation", "tta.passes"}
    assert fields_of(with_loss=True, tta=tta(passes=2, scale=1.2)) == {"with_loss", "tta.scale"}
    assert fields_of(tta=tta(use_max=True)) == {"tta.use_max"}
    assert fields_of(with_loss=True, tta=tta(apart=True, beta=0.5)) == {"with_loss", "tta.beta"}
    assert fields_of(tta=tta(apart=True, passes=2)) == {"tta.passes"}


def test_a_learner_is_described_before_and_after_it_is_there_but_not_in_lists(
    server: RunningServer, a_request: Make
) -> None:
    spec = a_request(learner_id="fresh").learner_spec
    first = training_service_pb2.DescribeRequest(learner_spec=spec, learner_id="fresh")
    job = server.training.Describe(first, timeout=20)
    assert stored_work(server, job) == ShowWork("describe")
    again = server.training.Describe(training_service_pb2.DescribeRequest(learner="learners/fresh"), timeout=20)
    assert again.learner == job.learner == "learners/fresh"
    frozen = training_service_pb2.DescribeRequest(learner="learners/fresh", freeze_to=job_pb2.FreezeTo(n=-1))
    assert stored_work(server, server.training.Describe(frozen, timeout=20)) == ShowWork("describe", freeze_to=-1)
    frozen.freeze_to.n = 1000
    assert refusal(lambda: server.training.Describe(frozen, timeout=20)).fields == {"freeze_to.n"}
    nothing = training_service_pb2.DescribeRequest()
    assert refusal(lambda: server.training.Describe(nothing, timeout=20)).fields == {"learner_spec"}
    found = {"network": "Linear", "channel_means": [0.5, 0.25, 0.125], "channel_stds": [0.1, 0.2, 0.3]}
    server.finish(job.name, {"description": found})
    told = server.jobs.GetJob(job_service_pb2.GetJobRequest(name=job.name), timeout=20).result.description
    assert (told.network, list(told.channel_means), list(told.channel_stds)) == tuple(found.values())
    listed = server.jobs.ListJobs(job_service_pb2.ListJobsRequest(learner="learners/fresh"), timeout=20).jobs
    assert [each.result.HasField("description") for each in listed] == [False] * 3


def test_a_batch_of_a_new_learner_can_be_looked_at_before_it_is_trained(server: RunningServer, a_request: Make) -> None:
    train = a_request(learner_id="fresh")
    request = interpretation_service_pb2.ShowBatchRequest(
        learner_spec=train.learner_spec, learner_id="fresh", rows=2, dataset=learner_pb2.DATASET_TYPE_VALID
    )
    job = server.interpretation.ShowBatch(request, timeout=20)
    assert stored_work(server, job) == ShowWork("batch", "valid", 2)
    assert server.store.get_learner("fresh").checkpoint_id is None
    again = interpretation_service_pb2.ShowBatchRequest(learner="learners/fresh")
    assert stored_work(server, server.interpretation.ShowBatch(again, timeout=20)) == ShowWork("batch", "train", 5)


def test_predictions_are_read_in_order_and_in_parts(server: RunningServer, trained: str) -> None:
    request = pb.GetPredsRequest(learner="learners/pets", with_loss=True)
    job = server.prediction.GetPreds(request, timeout=20)
    assert stored_work(server, job) == PredsWork("valid", True)
    ask = pb.ReadPredictionsRequest(job=job.name)
    assert refusal(lambda: list(server.prediction.ReadPredictions(ask, timeout=20))).code is (
        grpc.StatusCode.FAILED_PRECONDITION
    )
    rows = 3000
    preds = np.random.default_rng(0).random((rows, 100), dtype=np.float32)
    folder = server.config.job_dir("pets", names.parse_job(job.name)) / PREDICTIONS_DIR
    folder.mkdir(parents=True)
    targets, losses = np.arange(rows) % 2, np.arange(rows, dtype=np.float32)
    columns = {"predictions": preds, "targets": targets, "losses": losses, "indices": np.arange(rows)}
    columns["variants"] = preds / 2
    save_file(columns, folder / "predictions.safetensors")
    server.finish(job.name, {"predictions": rows})
    messages = list(server.prediction.ReadPredictions(ask, timeout=20))
    assert len(messages) > 1
    found = Predictions.from_protos(messages, with_loss=True)
    np.testing.assert_array_equal(np.asarray(found.preds), preds)
    np.testing.assert_array_equal(np.asarray(found.targets), targets)
    assert (found.losses.tolist() if found.losses else None) == losses.tolist()
    np.testing.assert_array_equal(np.asarray(found.variants), preds / 2)
    assert [part.shape for part in found] == [(rows, 100), (rows, 100), (rows,), (rows,)]
    part = pb.ReadPredictionsRequest(job=job.name, first_row=10, rows=5)
    some = Predictions.from_protos(server.prediction.ReadPredictions(part, timeout=20), with_loss=False)
    assert some.indices == (10, 11, 12, 13, 14)


def test_a_picture_that_a_job_drew_is_read_by_its_name(server: RunningServer, trained: str) -> None:
    request = interpretation_service_pb2.ShowResultsRequest(learner="learners/pets")
    job = server.interpretation.ShowResults(request, timeout=20)
    job_id = names.parse_job(job.name)
    folder = server.config.job_dir("pets", job_id) / PICTURES_DIR
    folder.mkdir(parents=True)
    (folder / "results.png").write_bytes(b"a png")
    data = {"name": "results", "path": "/elsewhere/results.png", "media_type": "image/png"}
    server.store.append_events(job_id, [NewEvent("picture/results", "picture", data, datetime.now(UTC), 1)])
    server.finish(job.name, {"pictures": ["results"]})
    (name,) = server.jobs.GetJob(job_service_pb2.GetJobRequest(name=job.name), timeout=20).result.pictures
    assert name == f"{job.name}/pictures/results"
    picture = server.jobs.GetPicture(job_service_pb2.GetPictureRequest(name=name), timeout=20)
    assert (picture.content, picture.media_type) == (b"a png", "image/png")
    for wrong, code in ((f"{job.name}/pictures/other", "NOT_FOUND"), (f"{job.name}/pictures/../x", "INVALID_ARGUMENT")):
        ask = job_service_pb2.GetPictureRequest(name=wrong)
        assert refusal(lambda ask=ask: server.jobs.GetPicture(ask, timeout=20)).code.name == code


def test_what_an_examination_is_to_do_survives_in_the_store(server: RunningServer, trained: str) -> None:
    request = pb.GetPredsRequest(learner="learners/pets", tta=pb.TestTimeAugmentation())
    job = server.prediction.GetPreds(request, timeout=20)
    assert stored_work(server, job) == PredsWork("valid", tta_beta=0.4, tta_scale=1.35)
    assert server.store.get_job(names.parse_job(job.name)).state is JobState.QUEUED
