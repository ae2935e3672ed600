"""Wrong requests of every call but Train: their wrong fields are named."""

from __future__ import annotations

import grpc
import pytest
from support.rpc_server import RunningServer, refusal

from learnfleet.v1 import (
    interpretation_service_pb2,
    job_service_pb2,
    prediction_service_pb2,
    training_service_pb2,
)

INVALID = grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize(
    ("service", "rpc", "request_", "fields"),
    [
        ("jobs", "GetJob", job_service_pb2.GetJobRequest(name="x"), {"name"}),
        ("jobs", "ListJobs", job_service_pb2.ListJobsRequest(page_size=-1, states=[99]), {"page_size", "states[0]"}),
        ("jobs", "ListJobs", job_service_pb2.ListJobsRequest(page_token="x"), {"page_token"}),
        ("training", "GetLearner", training_service_pb2.GetLearnerRequest(name="jobs/x"), {"name"}),
        ("training", "Save", training_service_pb2.SaveRequest(), {"learner", "checkpoint_id"}),
        ("training", "ListCheckpoints", training_service_pb2.ListCheckpointsRequest(learner="x"), {"learner"}),
        ("training", "Load", training_service_pb2.LoadRequest(checkpoint="learners/x"), {"checkpoint"}),
        (
            "training",
            "Export",
            training_service_pb2.ExportRequest(learner="x", aliases=["ok", "1", "v2", "Latest"], request_id="x"),
            {"learner", "aliases[1]", "aliases[2]", "aliases[3]", "request_id"},
        ),
        (
            "interpretation",
            "Interpret",
            interpretation_service_pb2.InterpretRequest(learner="x", top_losses=101, min_confused=-1),
            {"learner", "top_losses", "min_confused"},
        ),
        (
            "interpretation",
            "GetInterpretation",
            interpretation_service_pb2.GetInterpretationRequest(name="x"),
            {"name"},
        ),
        (
            "prediction",
            "Predict",
            prediction_service_pb2.PredictRequest(model="x", top_k=-1),
            {"model", "image", "top_k"},
        ),
        (
            "prediction",
            "Predict",
            prediction_service_pb2.PredictRequest(model="learners/x", image=b"1" * (20 * 1024 * 1024 + 1)),
            {"image"},
        ),
    ],
)
def test_every_other_call_names_its_wrong_fields(
    server: RunningServer, service: str, rpc: str, request_: object, fields: set[str]
) -> None:
    call = getattr(getattr(server, service), rpc)
    refused = refusal(lambda: call(request_, timeout=20))
    assert (refused.code, refused.fields) == (INVALID, fields)
