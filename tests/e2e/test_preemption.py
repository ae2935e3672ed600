"""A job of low priority gives way to one of high priority and goes on, on a real Ray of two slots."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from learnfleet.client import Client, Fit, ImageDataBunch, Job, RemoteLearner
from learnfleet.client.events import StateChanged
from learnfleet.server.commands.local_server import local_server
from learnfleet.v1 import job_pb2, job_service_pb2

pytestmark = pytest.mark.slow
EPOCHS = 8


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory, pictures: Path) -> Iterator[Client]:
    folder = tmp_path_factory.mktemp("preemption")
    options = ("--cpu-slots", "2", "--min-run-s", "0")
    with (
        local_server(folder / "data", [pictures], folder / "server.log", options=options) as server,
        Client.connect(server.address) as connected,
    ):
        yield connected


def a_learner(client: Client, workers: int, **settings: int) -> RemoteLearner:
    data = ImageDataBunch.from_folder("digits", size=32, bs=32)
    return client.cnn_learner(data, "squeezenet1_1", pretrained=False, num_workers=workers, silent=True, **settings)


def stored(learn: RemoteLearner, job: Job) -> job_pb2.Job:
    return learn.connection.jobs.GetJob(job_service_pb2.GetJobRequest(name=job.name))


def running_since_an_epoch(learn: RemoteLearner) -> Job:
    job = learn.fit(EPOCHS, 1e-3, wait=False)
    next(event for event in job.watch() if event.kind == "epoch_finished")
    return job


def states(job: Job) -> list[str]:
    return [event.payload.state for event in job.watch() if isinstance(event.payload, StateChanged)]


def test_a_job_that_gave_way_ends_with_the_weights_of_one_undisturbed(client: Client) -> None:
    whole = a_learner(client, 2).fit(EPOCHS, 1e-3).result
    low = running_since_an_epoch(a_learner(client, 2))
    high = a_learner(client, 2, priority=10)
    assert high.dry_run([Fit(1, 1e-3)]).preempts == (low.name,)
    high.fit(1, 1e-3)
    disturbed = low.wait().result
    assert states(low) == ["QUEUED", "STARTING", "RUNNING", "QUEUED", "STARTING", "RUNNING", "SUCCEEDED"]
    told = stored(high, low)
    assert (told.attempt, told.cause, dict(told.retries_used)) == (2, job_pb2.CAUSE_PREEMPTED, {"preempted": 1})
    assert disturbed.exact
    assert disturbed.checkpoint.model_sha256 == whole.checkpoint.model_sha256


def test_an_elastic_job_goes_on_with_the_slot_that_is_left_and_says_that_it_is_not_exact(client: Client) -> None:
    learn = a_learner(client, 2, min_workers=1)
    low = running_since_an_epoch(learn)
    assert stored(learn, low).workers == 2
    high = a_learner(client, 1, priority=10).fit(1000, 1e-3, wait=False)
    result = low.wait().result
    high.cancel()
    assert not result.exact
    assert stored(learn, low).workers == 1
