"""Calls and what the scheduler does for them as spans of their caller's trace."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from opentelemetry.sdk.trace import TracerProvider
from support.mlflow_server import until
from support.otlp_collector import Collector, Span, collector
from support.rpc_server import RunningServer, running_server

from learnfleet.client import Client, ImageDataBunch
from learnfleet.client.errors import NotFoundError
from learnfleet.server import names
from learnfleet.server.domain import Cause, JobState
from learnfleet.server.telemetry.telemetry import Telemetry
from learnfleet.server.telemetry.tracing import TraceSettings, Tracing


@pytest.fixture
def collected() -> Iterator[Collector]:
    with collector() as made:
        yield made


@pytest.fixture
def telemetry(collected: Collector) -> Iterator[Telemetry]:
    made = Telemetry(tracing=Tracing(TraceSettings(collected.endpoint), "learnfleet-server"))
    yield made
    made.close()


@pytest.fixture
def server(tmp_path: Path, root: Path, telemetry: Telemetry) -> Iterator[RunningServer]:
    with running_server(tmp_path, root, telemetry=telemetry) as running:
        yield running


@pytest.fixture
def client(server: RunningServer) -> Iterator[Client]:
    with Client.connect(server.address) as connected:
        yield connected


TRACER = TracerProvider().get_tracer("a program of a user's")


def spans(telemetry: Telemetry, collected: Collector, trace_id: int) -> dict[str, Span]:
    """Of a trace, by name."""
    telemetry.tracing.flush()
    return {span.name: span for span in collected.spans(f"{trace_id:032x}")}


def test_a_job_is_a_part_of_its_callers_trace(
    client: Client, server: RunningServer, telemetry: Telemetry, collected: Collector
) -> None:
    with TRACER.start_as_current_span("mine") as mine:
        learn = client.cnn_learner(ImageDataBunch.from_folder("pets", bs=4), "resnet18")
        job = learn.fit(1, wait=False)
    server.finish(job.name)

    own = mine.get_span_context()
    found = spans(telemetry, collected, own.trace_id)
    call = found["learnfleet.v1.TrainingService/Train"]
    assert call.parent_id == f"{own.span_id:016x}"
    assert call.attributes["rpc.response.status_code"] == "OK"
    for name in ("job.queued", "job.starting", "job.run"):
        assert found[name].parent_id == call.span_id
        assert found[name].attributes["job"] == job.name
        assert found[name].start_ns <= found[name].end_ns
    assert found["job.queued"].end_ns <= found["job.starting"].end_ns <= found["job.run"].end_ns


def test_a_failed_job_says_why_without_secrets(
    client: Client, server: RunningServer, telemetry: Telemetry, collected: Collector
) -> None:
    with TRACER.start_as_current_span("mine") as mine:
        learn = client.cnn_learner(ImageDataBunch.from_folder("pets", bs=4), "resnet18")
        job_id = names.parse_job(learn.fit(1, wait=False).name)
    for state in (JobState.STARTING, JobState.RUNNING):
        server.store.transition(job_id, state)
    server.store.transition(job_id, JobState.FAILED, "s3://key:hunter2@bucket is gone", cause=Cause.USER)

    found = spans(telemetry, collected, mine.get_span_context().trace_id)
    assert found["job.run"].error == "s3://key:***@bucket is gone"


def test_a_call_without_a_trace_begins_one(client: Client, telemetry: Telemetry, collected: Collector) -> None:
    with pytest.raises(NotFoundError):
        client.job("jobs/nobody-knows")

    # The answer is with the caller before the span has ended.
    until(lambda: telemetry.tracing.flush() or bool(collected.spans()), 20)
    [span] = collected.spans()
    assert span.name == "learnfleet.v1.JobService/GetJob"
    assert span.parent_id == ""
    assert span.attributes["rpc.response.status_code"] == "NOT_FOUND"
    assert span.error == ""  # an answer, and no fault of the server's


def test_a_trace_that_is_not_sampled_is_not_sent(
    client: Client, telemetry: Telemetry, collected: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = f"00-{'a' * 32}-{'b' * 16}-00"
    monkeypatch.setattr("learnfleet.client.security.trace_metadata", lambda: (("traceparent", context),))
    with pytest.raises(NotFoundError):
        client.job("jobs/nobody-knows")

    telemetry.tracing.flush()
    assert collected.spans() == []


def test_a_context_that_is_garbage_is_no_error(
    server: RunningServer, telemetry: Telemetry, collected: Collector
) -> None:
    from learnfleet.v1 import job_service_pb2

    server.jobs.ListJobs(job_service_pb2.ListJobsRequest(), metadata=[("traceparent", "garbage")])

    telemetry.tracing.flush()
    assert [span.parent_id for span in collected.spans()] == [""]


def test_the_context_is_in_the_job_without_a_collector(tmp_path: Path, root: Path) -> None:
    with running_server(tmp_path, root) as server, Client.connect(server.address) as client:
        with TRACER.start_as_current_span("mine") as mine:
            learn = client.cnn_learner(ImageDataBunch.from_folder("pets", bs=4), "resnet18")
            job = learn.fit(1, wait=False)
        stored = server.store.get_job(names.parse_job(job.name))

    own = mine.get_span_context()
    assert stored.traceparent == f"00-{own.trace_id:032x}-{own.span_id:016x}-01"
