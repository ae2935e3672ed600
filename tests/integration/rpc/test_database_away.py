"""The database is away: callers hear that it is worth trying again, and nothing has to be started anew afterwards."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import pytest
from support.postgres import PostgresServer
from support.rpc_server import RunningServer, refusal, running_server

from learnfleet.server.store.sql import SqlStore
from learnfleet.v1 import job_service_pb2, training_service_pb2

Make = Callable[..., training_service_pb2.TrainRequest]
_TIMEOUT_S = 20


@pytest.fixture
def own_postgres() -> Iterator[PostgresServer]:
    """A server that a test may stop."""
    database = PostgresServer()
    database.start()
    yield database
    database.remove()


@pytest.fixture
def server(own_postgres: PostgresServer, tmp_path: Path, root: Path) -> Iterator[RunningServer]:
    with running_server(tmp_path, root, store=SqlStore(own_postgres.url())) as running:
        yield running


def test_while_the_database_is_away_every_call_is_unavailable_and_then_they_go_on(
    server: RunningServer, own_postgres: PostgresServer, a_request: Make
) -> None:
    job = server.training.Train(a_request(learner_id="pets"), timeout=_TIMEOUT_S)
    request = a_request(learner_id="birds", request_id=str(uuid.uuid4()))
    watch = server.jobs.WatchJob(job_service_pb2.WatchJobRequest(name=job.name), timeout=_TIMEOUT_S)
    assert [event.sequence for event in next(watch).events] == [1]
    calls: list[Callable[[], object]] = [
        lambda: server.training.Train(request, timeout=_TIMEOUT_S),
        lambda: server.jobs.GetJob(job_service_pb2.GetJobRequest(name=job.name), timeout=_TIMEOUT_S),
        lambda: server.jobs.ListJobs(job_service_pb2.ListJobsRequest(), timeout=_TIMEOUT_S),
        lambda: server.jobs.CancelJob(job_service_pb2.CancelJobRequest(name=job.name), timeout=_TIMEOUT_S),
        lambda: list(server.jobs.WatchJob(job_service_pb2.WatchJobRequest(name=job.name), timeout=_TIMEOUT_S)),
        lambda: server.training.GetLearner(
            training_service_pb2.GetLearnerRequest(name="learners/pets"), timeout=_TIMEOUT_S
        ),
    ]
    own_postgres.kill()
    for call in calls:
        refused = refusal(call)
        assert (refused.code, refused.reason) == (grpc.StatusCode.UNAVAILABLE, "STORE_UNAVAILABLE")
        assert "postgres" not in refused.message
    own_postgres.start()
    assert server.jobs.GetJob(job_service_pb2.GetJobRequest(name=job.name), timeout=_TIMEOUT_S) == job
    made = server.training.Train(request, timeout=_TIMEOUT_S)
    assert server.training.Train(request, timeout=_TIMEOUT_S) == made
    server.finish(job.name)
    again = job_service_pb2.WatchJobRequest(name=job.name, after_sequence=1)
    sequences = [event.sequence for batch in server.jobs.WatchJob(again, timeout=_TIMEOUT_S) for event in batch.events]
    assert sequences == [2, 3, 4]
