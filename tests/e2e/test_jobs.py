"""Jobs: cancelling, idempotent creation, warm continuation."""

from __future__ import annotations

import time
import uuid
from pathlib import Path

import pytest

from learnfleet.client import Client, FailedPreconditionError, ImageDataBunch, Job, JobCancelledError
from learnfleet.client.connection import Connection
from learnfleet.client.events import StateChanged
from learnfleet.client.specs import Fit, LearnerSpec
from learnfleet.server.commands.local_server import LocalServer
from learnfleet.v1 import training_service_pb2

SOON_S = 5.0  # two seconds, and what a busy machine adds


def cancelled_within_s(job: Job) -> float:
    began_s = time.monotonic()
    job.cancel()
    with pytest.raises(JobCancelledError):
        job.wait()
    return time.monotonic() - began_s


def test_a_cancelled_job_leaves_the_learner_as_it_was_and_what_it_reached_can_be_loaded(
    client: Client, pictures: Path
) -> None:
    data = ImageDataBunch.from_folder("digits", size=32, bs=32)
    learn = client.cnn_learner(data, "squeezenet1_1", pretrained=False, num_workers=2)
    learn.fit(1, 1e-3)
    before = learn.info()
    job = learn.fit(1000, 1e-3, wait=False)
    next(event for event in job.watch() if event.kind == "epoch_finished")
    assert cancelled_within_s(job) < SOON_S
    assert learn.info().checkpoint == before.checkpoint
    with pytest.raises(FailedPreconditionError):
        job.cancel()
    learn.load(job.name.removeprefix("jobs/"))
    assert learn.info().epochs_trained > before.epochs_trained


def test_a_job_is_cancelled_while_its_workers_start_and_the_next_one_finds_room(client: Client, pictures: Path) -> None:
    data = ImageDataBunch.from_folder("digits", size=32, bs=32)
    learn = client.cnn_learner(data, "squeezenet1_1", pretrained=False, num_workers=2)
    job = learn.fit(1, 1e-3, wait=False)
    states = (event.payload.state for event in job.watch() if isinstance(event.payload, StateChanged))
    assert "STARTING" in states
    assert cancelled_within_s(job) < SOON_S
    learn.fit(1, 1e-3)
    assert learn.info().epochs_trained == 1


def test_the_same_request_id_gives_the_same_job(server: LocalServer, client: Client) -> None:
    spec = LearnerSpec(ImageDataBunch.from_folder("digits", size=32, bs=32), "squeezenet1_1")
    request = training_service_pb2.TrainRequest(
        learner_spec=spec.to_proto(), stages=[Fit(1, 1e-3).to_proto()], request_id=str(uuid.uuid4())
    )
    connection = Connection(server.address, timeout_s=30, retry_s=5)
    first = connection.call(connection.training.Train, request)
    second = connection.call(connection.training.Train, request)
    connection.close()
    assert first.name == second.name
    client.job(first.name).wait()
