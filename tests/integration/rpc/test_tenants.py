"""What belongs to one tenant does not exist for another."""

from __future__ import annotations

import uuid
from collections.abc import Callable

import grpc
import pytest
from support.rpc_server import RunningServer, refusal

from learnfleet.server import names
from learnfleet.server.rpc.tenants import METADATA_KEY
from learnfleet.v1 import interpretation_service_pb2, prediction_service_pb2, training_service_pb2
from learnfleet.v1 import job_service_pb2 as pb

Make = Callable[..., training_service_pb2.TrainRequest]
RED, BLUE = ([(METADATA_KEY, name)] for name in ("red", "blue"))


@pytest.fixture
def job(server: RunningServer, a_request: Make) -> str:
    """The name of a job of red's, on red's learner `pets`, which has been trained."""
    made = server.training.Train(a_request(learner_id="pets"), timeout=20, metadata=RED)
    server.train_to_a_checkpoint(made.name)
    assert made.tenant == "red"
    return made.name


def test_no_rpc_finds_what_is_another_tenants(server: RunningServer, job: str, a_request: Make) -> None:
    learner, job_id = "learners/pets", names.parse_job(job)
    training, examining = training_service_pb2, interpretation_service_pb2
    calls = [
        (server.jobs.GetJob, pb.GetJobRequest(name=job)),
        (server.jobs.CancelJob, pb.CancelJobRequest(name=job)),
        (server.jobs.PauseJob, pb.PauseJobRequest(name=job)),
        (server.jobs.ResumeJob, pb.ResumeJobRequest(name=job)),
        (server.jobs.DeleteJob, pb.DeleteJobRequest(name=job)),
        (server.jobs.GetPicture, pb.GetPictureRequest(name=f"{job}/pictures/losses")),
        (server.jobs.ListJobs, pb.ListJobsRequest(learner=learner)),
        (server.training.Train, a_request(learner=learner)),
        (server.training.Validate, training.ValidateRequest(learner=learner)),
        (server.training.Describe, training.DescribeRequest(learner=learner)),
        (server.training.GetLearner, training.GetLearnerRequest(name=learner)),
        (server.training.Save, training.SaveRequest(learner=learner, checkpoint_id="mine")),
        (server.training.ListCheckpoints, training.ListCheckpointsRequest(learner=learner)),
        (server.training.Load, training.LoadRequest(checkpoint=f"{learner}/checkpoints/{job_id}")),
        (server.training.Purge, training.PurgeRequest(learner=learner)),
        (server.training.DeleteLearner, training.DeleteLearnerRequest(name=learner)),
        (server.training.Export, training.ExportRequest(learner=learner)),
        (server.prediction.Predict, prediction_service_pb2.PredictRequest(model=learner, image=b"x")),
        (server.prediction.GetPreds, prediction_service_pb2.GetPredsRequest(learner=learner)),
        (server.interpretation.Interpret, examining.InterpretRequest(learner=learner)),
        (server.interpretation.ShowBatch, examining.ShowBatchRequest(learner=learner)),
        (server.interpretation.ShowResults, examining.ShowResultsRequest(learner=learner)),
        (server.interpretation.GetInterpretation, examining.GetInterpretationRequest(name=f"interpretations/{job_id}")),
    ]
    streams = [
        (server.jobs.WatchJob, pb.WatchJobRequest(name=job)),
        (server.jobs.GetJobLogs, pb.GetJobLogsRequest(name=job)),
        (server.prediction.ReadPredictions, prediction_service_pb2.ReadPredictionsRequest(job=job)),
    ]
    for rpc, request in calls:
        refused = refusal(lambda rpc=rpc, request=request: rpc(request, timeout=20, metadata=BLUE))  # type: ignore[misc]
        assert refused.code is grpc.StatusCode.NOT_FOUND, request
    for rpc, request in streams:
        refused = refusal(lambda rpc=rpc, request=request: list(rpc(request, timeout=20, metadata=BLUE)))  # type: ignore[misc]
        assert refused.code is grpc.StatusCode.NOT_FOUND, request


def test_lists_are_a_tenants_own(server: RunningServer, job: str, a_request: Make) -> None:
    other = server.training.Train(a_request(learner_id="dogs"), timeout=20, metadata=BLUE).name
    for tenant, own, learner in ((RED, job, "learners/pets"), (BLUE, other, "learners/dogs")):
        jobs = server.jobs.ListJobs(pb.ListJobsRequest(), timeout=20, metadata=tenant).jobs
        request = training_service_pb2.ListLearnersRequest()
        learners = server.training.ListLearners(request, timeout=20, metadata=tenant).learners
        assert ([found.name for found in jobs], [found.name for found in learners]) == ([own], [learner])


def test_another_tenants_request_id_is_as_good_as_none(server: RunningServer, a_request: Make) -> None:
    request = a_request(request_id=str(uuid.uuid4()))
    made = server.training.Train(request, timeout=20, metadata=RED)
    other = server.training.Train(request, timeout=20, metadata=BLUE)
    assert other.name != made.name
    for tenant, job in ((RED, made), (BLUE, other)):
        assert server.training.Train(request, timeout=20, metadata=tenant).name == job.name
