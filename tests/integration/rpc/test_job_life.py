"""Pausing, resuming, deleting and the logs of jobs over a real port."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import grpc
import pytest
from google.protobuf.message import Message
from support.rpc_server import RunningServer, refusal
from typer.testing import CliRunner

from learnfleet.client.cli.main import build_app
from learnfleet.server import names
from learnfleet.server.domain import JobState, Wanted
from learnfleet.server.scheduling.job_log import LOG_FILE
from learnfleet.v1 import interpretation_service_pb2 as interpretation
from learnfleet.v1 import job_pb2, training_service_pb2
from learnfleet.v1 import job_service_pb2 as pb
from learnfleet.v1 import prediction_service_pb2 as prediction

Make = Callable[..., training_service_pb2.TrainRequest]


@pytest.fixture
def job(server: RunningServer, a_request: Make) -> str:
    """The name of a queued job on the learner `pets`."""
    return server.training.Train(a_request(learner_id="pets"), timeout=20).name


def folder_of(server: RunningServer, name: str) -> Path:
    job = server.store.get_job(names.parse_job(name))
    return server.config.job_dir(job.learner_id, job.id)


# -- pausing and resuming


def test_what_is_wanted_of_a_job_is_durable_before_it_is_answered(server: RunningServer, job: str) -> None:
    job_id = names.parse_job(job)
    server.jobs.PauseJob(pb.PauseJobRequest(name=job), timeout=20)
    assert server.store.get_job(job_id).wanted is Wanted.PAUSE
    server.jobs.PauseJob(pb.PauseJobRequest(name=job), timeout=20)
    server.jobs.ResumeJob(pb.ResumeJobRequest(name=job), timeout=20)
    assert server.store.get_job(job_id).wanted is Wanted.RUN


def test_a_job_that_has_ended_can_be_neither_paused_nor_resumed(server: RunningServer, job: str) -> None:
    server.finish(job)
    calls = [
        lambda: server.jobs.PauseJob(pb.PauseJobRequest(name=job), timeout=20),
        lambda: server.jobs.ResumeJob(pb.ResumeJobRequest(name=job), timeout=20),
        lambda: server.jobs.CancelJob(pb.CancelJobRequest(name=job), timeout=20),
    ]
    assert {refusal(call).code for call in calls} == {grpc.StatusCode.FAILED_PRECONDITION}


def test_an_unknown_job_is_not_found_by_every_call(server: RunningServer) -> None:
    name = "jobs/nobody"
    calls = [
        lambda: server.jobs.PauseJob(pb.PauseJobRequest(name=name), timeout=20),
        lambda: server.jobs.ResumeJob(pb.ResumeJobRequest(name=name), timeout=20),
        lambda: server.jobs.DeleteJob(pb.DeleteJobRequest(name=name), timeout=20),
        lambda: list(server.jobs.GetJobLogs(pb.GetJobLogsRequest(name=name), timeout=20)),
    ]
    assert {refusal(call).code for call in calls} == {grpc.StatusCode.NOT_FOUND}


# -- deadlines and retries


def test_a_time_limit_becomes_a_deadline_and_retries_that_are_not_named_keep_their_defaults(
    server: RunningServer, a_request: Make
) -> None:
    request = a_request(timeout={"seconds": 90}, retry_policy={"hang": 0})
    made = server.training.Train(request, timeout=20)
    assert made.deadline.ToDatetime() - made.create_time.ToDatetime() == timedelta(seconds=90)
    policy = made.retry_policy
    assert (policy.worker_lost, policy.out_of_memory, policy.hang, policy.server) == (3, 1, 0, 3)
    assert not server.training.Train(a_request(), timeout=20).HasField("deadline")


def test_time_limits_and_budgets_that_make_no_sense_are_named(server: RunningServer, a_request: Make) -> None:
    request = a_request(timeout={"seconds": -1}, retry_policy={"hang": -1, "worker_lost": 10**6})
    refused = refusal(lambda: server.training.Train(request, timeout=20))
    assert refused.fields == {"timeout", "retry_policy.hang", "retry_policy.worker_lost"}


# -- request ids


def test_every_request_that_makes_a_job_makes_it_once(server: RunningServer, job: str, a_request: Make) -> None:
    server.train_to_a_checkpoint(job)
    learner = "learners/pets"
    spec = server.training.GetLearner(training_service_pb2.GetLearnerRequest(name=learner), timeout=20).spec
    rows = [
        (server.training.Train, a_request(learner=learner), a_request(learner=learner, resources={"num_workers": 2})),
        (
            server.training.Validate,
            training_service_pb2.ValidateRequest(learner=learner),
            training_service_pb2.ValidateRequest(learner=learner, dataset=2),
        ),
        (
            server.training.Export,
            training_service_pb2.ExportRequest(learner=learner),
            training_service_pb2.ExportRequest(learner=learner, aliases=["best"]),
        ),
        (
            server.prediction.GetPreds,
            prediction.GetPredsRequest(learner=learner),
            prediction.GetPredsRequest(learner=learner, with_loss=True),
        ),
        (
            server.interpretation.Interpret,
            interpretation.InterpretRequest(learner=learner),
            interpretation.InterpretRequest(learner=learner, top_losses=3),
        ),
        (
            server.interpretation.ShowBatch,
            interpretation.ShowBatchRequest(learner_spec=spec),
            interpretation.ShowBatchRequest(learner_spec=spec, rows=3),
        ),
        (
            server.interpretation.ShowResults,
            interpretation.ShowResultsRequest(learner=learner),
            interpretation.ShowResultsRequest(learner=learner, rows=3),
        ),
    ]
    for rpc, request, changed in rows:
        makes_one_job(rpc, request, changed)


def makes_one_job(rpc: Callable[..., job_pb2.Job], request: Message, changed: Message) -> None:
    request.request_id = changed.request_id = str(uuid.uuid4())
    first = rpc(request, timeout=20)
    assert rpc(request, timeout=20).name == first.name
    assert refusal(lambda: rpc(changed, timeout=20)).code is grpc.StatusCode.ALREADY_EXISTS


# -- deleting


def test_a_job_is_deleted_with_its_events_and_folder_once_it_has_ended(server: RunningServer, job: str) -> None:
    job_id = names.parse_job(job)
    refused = refusal(lambda: server.jobs.DeleteJob(pb.DeleteJobRequest(name=job), timeout=20))
    assert refused.code is grpc.StatusCode.FAILED_PRECONDITION
    assert "cancel it" in refused.message
    folder = folder_of(server, job)
    (folder / "pictures").mkdir(parents=True)
    server.store.transition(job_id, JobState.CANCELLED)
    server.jobs.DeleteJob(pb.DeleteJobRequest(name=job), timeout=20)
    assert not folder.exists()
    assert refusal(lambda: server.jobs.GetJob(pb.GetJobRequest(name=job), timeout=20)).code is grpc.StatusCode.NOT_FOUND
    assert server.training.GetLearner(
        training_service_pb2.GetLearnerRequest(name="learners/pets"), timeout=20
    ).name == ("learners/pets")


def test_a_state_that_a_learner_stands_on_outlives_its_job_and_goes_with_it_later(
    server: RunningServer, job: str, a_request: Make
) -> None:
    checkpoint = server.train_to_a_checkpoint(job)
    later = server.training.Train(a_request(learner="learners/pets"), timeout=20).name
    server.jobs.DeleteJob(pb.DeleteJobRequest(name=job), timeout=20)
    assert Path(checkpoint.path).exists()
    assert server.store.get_checkpoint("pets", checkpoint.id) == checkpoint
    newer = server.train_to_a_checkpoint(later, b"other weights")
    server.training.Save(training_service_pb2.SaveRequest(learner="learners/pets", checkpoint_id="named"), timeout=20)
    third = server.training.Train(a_request(learner="learners/pets"), timeout=20).name
    server.train_to_a_checkpoint(third, b"yet others")
    server.jobs.DeleteJob(pb.DeleteJobRequest(name=later), timeout=20)
    assert not Path(newer.path).exists()
    assert [found.id for found in server.store.list_checkpoints("pets")] == [
        names.parse_job(third),
        "named",
        checkpoint.id,
    ]


# -- logs


def write_log(server: RunningServer, name: str, *severities: str) -> None:
    folder = folder_of(server, name)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOG_FILE).open("a") as file:
        for number, severity in enumerate(severities):
            line = {"time_s": 1e9 + number, "severity": severity, "logger": "a.b", "message": severity}
            file.write(json.dumps({**line, "attempt": 1, "rank": number % 2}) + "\n")


def lines(server: RunningServer, **request: object) -> list[pb.LogEntry]:
    messages = server.jobs.GetJobLogs(pb.GetJobLogsRequest(**request), timeout=30)
    return [entry for message in messages for entry in message.entries]


def test_a_log_is_read_from_any_position_and_severity_on(server: RunningServer, job: str) -> None:
    assert lines(server, name=job) == []
    write_log(server, job, "info", "error", "warning", "info")
    everything = lines(server, name=job)
    assert [(entry.position, entry.rank, entry.message) for entry in everything] == [
        ("1", 0, "info"),
        ("2", 1, "error"),
        ("3", 0, "warning"),
        ("4", 1, "info"),
    ]
    assert lines(server, name=job, after_position="2") == everything[2:]
    grave = lines(server, name=job, min_severity=job_pb2.LogLine.SEVERITY_WARNING)
    assert [entry.position for entry in grave] == ["2", "3"]


def test_a_log_is_followed_until_the_job_ends(server: RunningServer, job: str) -> None:
    write_log(server, job, "info")
    stream = server.jobs.GetJobLogs(pb.GetJobLogsRequest(name=job, follow=True), timeout=30)
    assert next(stream).entries[0].position == "1"
    write_log(server, job, "warning", "error")
    server.notify(names.parse_job(job))
    assert [entry.position for entry in next(stream).entries] == ["2", "3"]
    server.finish(job)
    assert list(stream) == []


@pytest.mark.parametrize("position", ["-1", "1.5", "9" * 5000, "\u00b2"])
def test_wrong_requests_for_a_log_are_named(server: RunningServer, job: str, position: str) -> None:
    request = pb.GetJobLogsRequest(name=job, after_position=position, min_severity=99)
    refused = refusal(lambda: list(server.jobs.GetJobLogs(request, timeout=20)))
    assert refused.fields == {"after_position", "min_severity"}


def test_the_command_line_prints_a_log_and_forgets_a_job(server: RunningServer, job: str) -> None:
    write_log(server, job, "info", "error")
    server.finish(job)
    logs = run_command("logs", job, "--server", server.address)
    assert [line.split(" ", 1)[1] for line in logs] == ["1 rank 0 info info", "1 rank 1 error error"]
    (line,) = run_command("logs", job, "--server", server.address, "--severity", "warning", "--json")
    assert json.loads(line)["position"] == "2"
    assert run_command("delete", job, "--server", server.address) == [f"{job} is deleted"]


def run_command(*arguments: str) -> list[str]:
    ran = CliRunner().invoke(build_app(), arguments)
    assert ran.exit_code == 0, ran.output
    return ran.output.splitlines()
