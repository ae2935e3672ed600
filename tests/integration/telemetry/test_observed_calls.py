"""Every call of the real server is counted, and every one that is to change something is in the audit log."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor import MethodDescriptor
from support.access_files import access_file, bearer, token_of
from support.mlflow_server import until
from support.rpc_server import RunningServer, running_server

from learnfleet.server.rpc.server import SERVICES
from learnfleet.server.telemetry.audit import AuditLog
from learnfleet.server.telemetry.observed import changes_something
from learnfleet.server.telemetry.telemetry import Telemetry
from learnfleet.v1 import dataset_service_pb2, job_pb2, job_service_pb2, learner_pb2, training_service_pb2

METHODS = [method for service in SERVICES for method in service.methods]
# What leaves all as it is, by name: another list than the protos', so that neither can forget one alone.
READS = {
    *("GetLearner", "ListLearners", "ListCheckpoints", "GetJob", "ListJobs", "WatchJob", "GetPicture", "GetJobLogs"),
    *("GetInterpretation", "ListInterpretations", "ReadInterpretationFile", "ExplainPrediction", "Predict"),
    *("PredictBatch", "PredictStream", "ReadPredictions", "GetUpload", "GetDataset", "ListDatasets", "GetModel"),
    *("ListModels", "GetModelVersion", "ListModelVersions", "ServerLive", "ServerReady", "ModelReady"),
    *("ServerMetadata", "ModelMetadata", "ModelInfer", "Check", "Watch", "List"),
}
REQUEST_ID = "0d1c8a4e-4c60-4f0a-9a7e-1f0f6f0b8f11"
CHANGES = [method for method in METHODS if method.name not in READS]


@pytest.fixture
def telemetry(tmp_path: Path) -> Iterator[Telemetry]:
    made = Telemetry(audit=AuditLog(str(tmp_path / "audit.jsonl"), "server-1"))
    yield made
    made.close()


@pytest.fixture
def server(tmp_path: Path, root: Path, telemetry: Telemetry) -> Iterator[RunningServer]:
    with running_server(tmp_path, root, telemetry=telemetry) as running:
        yield running


def audited(tmp_path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (tmp_path / "audit.jsonl").read_text().splitlines()]


def path_of(method: MethodDescriptor) -> str:
    return f"/{method.containing_service.full_name}/{method.name}"


def call(server: RunningServer, method: MethodDescriptor, content: bytes = b"", **options: Any) -> grpc.StatusCode:
    """The code that a call of any kind ends with."""
    channel, path = server.channel, path_of(method)
    try:
        if method.client_streaming and method.server_streaming:
            list(channel.stream_stream(path)(iter([content]), timeout=20, **options))
        elif method.client_streaming:
            channel.stream_unary(path)(iter([content]), timeout=20, **options)
        elif method.server_streaming:
            list(channel.unary_stream(path)(content, timeout=20, **options))
        else:
            channel.unary_unary(path)(content, timeout=20, **options)
    except grpc.RpcError as error:
        return error.code()
    return grpc.StatusCode.OK


def a_train_request(**fields: Any) -> training_service_pb2.TrainRequest:
    data = learner_pb2.DataSpec(folder=learner_pb2.FolderSource(path="pets"), batch_size=4)
    return training_service_pb2.TrainRequest(
        learner_spec=learner_pb2.LearnerSpec(data=data, architecture="resnet18"),
        stages=[job_pb2.Stage(fit=job_pb2.Fit(epochs=1))],
        **fields,
    )


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.full_name)
def test_the_protos_say_which_methods_change_nothing(method: MethodDescriptor) -> None:
    assert changes_something(method) == (method.name not in READS)


@pytest.mark.parametrize("method", CHANGES, ids=lambda method: method.full_name)
def test_every_method_that_changes_something_is_audited(
    tmp_path: Path, server: RunningServer, method: MethodDescriptor
) -> None:
    code = call(server, method, metadata=[("learnfleet-tenant", "vision")])

    [line] = audited(tmp_path)
    assert line["method"] == path_of(method).strip("/")
    assert line["code"] == code.name
    assert line["tenant"] == "vision"
    assert line["server"] == "server-1"
    assert line["peer"].startswith("ipv4:127.0.0.1:")


def test_reads_are_not_audited(tmp_path: Path, server: RunningServer) -> None:
    for name in ("GetJob", "ListJobs", "GetLearner", "ListDatasets", "Predict", "ServerLive", "Check"):
        call(server, next(method for method in METHODS if method.name == name))

    assert audited(tmp_path) == []


def test_a_line_names_what_was_made_and_nothing_else_of_the_request(tmp_path: Path, server: RunningServer) -> None:
    request = a_train_request(learner_id="pets-learner", request_id=REQUEST_ID)

    job = server.training.Train(request)

    [line] = audited(tmp_path)
    assert line["resources"] == [job.name] or line["resources"] == [job.name, job.learner]
    assert (line["code"], line["request_id"]) == ("OK", REQUEST_ID)
    assert "resnet18" not in (tmp_path / "audit.jsonl").read_text()


def test_a_line_names_what_was_asked_for_where_it_was_refused(tmp_path: Path, server: RunningServer) -> None:
    with pytest.raises(grpc.RpcError):
        server.jobs.CancelJob(job_service_pb2.CancelJobRequest(name="jobs/nobody-knows"))

    [line] = audited(tmp_path)
    assert (line["code"], line["resources"]) == ("NOT_FOUND", ["jobs/nobody-knows"])


def test_what_callers_write_into_names_does_not_get_into_the_log(tmp_path: Path, server: RunningServer) -> None:
    for name in ('jobs/a", "code": "OK', "password hunter2", "jobs/" + "a" * 5000, "jobs/a\nb"):
        with pytest.raises(grpc.RpcError):
            server.jobs.CancelJob(job_service_pb2.CancelJobRequest(name=name))

    assert [line["resources"] for line in audited(tmp_path)] == [[], [], [], []]


def test_a_caller_that_goes_away_is_audited_too(tmp_path: Path, server: RunningServer, telemetry: Telemetry) -> None:
    gone = threading.Event()

    def nothing() -> Iterator[dataset_service_pb2.CreateDatasetRequest]:
        gone.wait(20)
        yield from ()

    labels = {"grpc_type": "client_stream", "grpc_method": "CreateDataset"}
    labels["grpc_service"] = "learnfleet.v1.DatasetService"
    upload = server.datasets.CreateDataset.future(nothing())
    until(lambda: telemetry.metrics.registry.get_sample_value("grpc_server_started_total", labels) == 1)
    upload.cancel()
    gone.set()

    until(lambda: bool(audited(tmp_path)), 20)
    [line] = audited(tmp_path)
    assert line["method"] == "learnfleet.v1.DatasetService/CreateDataset"
    assert line["code"] in ("CANCELLED", "INVALID_ARGUMENT")  # of a stream that ends before its first message


def test_calls_are_counted_by_method_and_code(server: RunningServer, telemetry: Telemetry) -> None:
    job = server.training.Train(a_train_request())
    for _ in range(2):
        server.jobs.GetJob(job_service_pb2.GetJobRequest(name=job.name))
    with pytest.raises(grpc.RpcError):
        server.jobs.GetJob(job_service_pb2.GetJobRequest(name="jobs/nobody-knows"))

    labels = {"grpc_type": "unary", "grpc_service": "learnfleet.v1.JobService", "grpc_method": "GetJob"}
    value = telemetry.metrics.registry.get_sample_value
    until(
        lambda: value("grpc_server_handling_seconds_count", labels) == 3
    )  # its caller may be told before it is counted
    assert value("grpc_server_started_total", labels) == 3
    assert value("grpc_server_handled_total", {**labels, "grpc_code": "OK"}) == 2
    assert value("grpc_server_handled_total", {**labels, "grpc_code": "NOT_FOUND"}) == 1


def test_methods_that_callers_make_up_are_no_labels(server: RunningServer, telemetry: Telemetry) -> None:
    for number in range(5):
        with pytest.raises(grpc.RpcError):
            server.channel.unary_unary(f"/learnfleet.v1.JobService/Method{number}")(b"", timeout=20)

    samples = [sample for family in telemetry.metrics.registry.collect() for sample in family.samples]
    known = {method.name for method in METHODS} | {"other"}
    assert {sample.labels["grpc_method"] for sample in samples if "grpc_method" in sample.labels} <= known


def test_transitions_of_jobs_are_counted_and_timed(server: RunningServer, telemetry: Telemetry) -> None:
    job = server.training.Train(a_train_request())
    server.finish(job.name)

    value = telemetry.metrics.registry.get_sample_value
    ended = {"kind": "train", "state": "succeeded"}
    until(lambda: value("learnfleet_job_transitions_total", {**ended, "cause": ""}) == 1)
    until(lambda: value("learnfleet_job_run_seconds_count", ended) == 1)
    for state in ("starting", "running", "succeeded"):
        assert value("learnfleet_job_transitions_total", {"kind": "train", "state": state, "cause": ""}) == 1
    assert value("learnfleet_job_queue_seconds_count", {"kind": "train"}) == 1
    assert value("learnfleet_job_start_seconds_count", {"kind": "train"}) == 1
    assert value("learnfleet_job_run_seconds_count", ended) == 1


def test_a_fault_of_the_server_is_found_in_its_log_by_what_its_caller_is_told(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server.store, "get_job", lambda job_id: 1 / 0)

    with pytest.raises(grpc.RpcError) as error:
        server.jobs.GetJob(job_service_pb2.GetJobRequest(name="jobs/a"))

    assert error.value.code() is grpc.StatusCode.INTERNAL
    assert "its log says more, by request id call-" in error.value.details()


@pytest.mark.parametrize(
    ("metadata", "who", "code"),
    [
        ([], ("", "", ""), "UNAUTHENTICATED"),
        ([("authorization", f"Bearer {token_of('nobody')}")], ("", "", ""), "UNAUTHENTICATED"),
        (bearer("viewer"), ("viewer", "viewer", "red"), "PERMISSION_DENIED"),
        (bearer("user"), ("user", "user", "red"), "NOT_FOUND"),
        ([*bearer("admin"), ("learnfleet-tenant", "blue")], ("admin", "admin", "blue"), "NOT_FOUND"),
    ],
)
def test_a_line_says_whose_the_call_was_also_where_it_was_refused(
    tmp_path: Path,
    root: Path,
    telemetry: Telemetry,
    metadata: list[tuple[str, str]],
    who: tuple[str, str, str],
    code: str,
) -> None:
    auth = access_file(tmp_path / "access.toml")
    with (
        running_server(tmp_path, root, telemetry=telemetry, auth_file=auth) as server,
        pytest.raises(grpc.RpcError) as refused,
    ):
        server.jobs.CancelJob(job_service_pb2.CancelJobRequest(name="jobs/nobody-knows"), metadata=metadata)

    [line] = audited(tmp_path)
    assert refused.value.code().name == line["code"] == code
    assert (line["subject"], line["role"], line["tenant"]) == who
    assert "Bearer" not in (tmp_path / "audit.jsonl").read_text()
