"""Jobs: cancelling, idempotent creation, warm continuation."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest

from learnfleet.client import Client, FailedPreconditionError, ImageDataBunch, JobCancelledError
from learnfleet.client.connection import Connection
from learnfleet.client.specs import Fit, LearnerSpec
from learnfleet.server.commands.local_server import LocalServer
from learnfleet.v1 import training_service_pb2


def test_a_cancelled_job_leaves_the_learner_as_it_was_and_what_it_reached_can_be_loaded(
    client: Client, pictures: Path
) -> None:
    data = ImageDataBunch.from_folder("digits", size=32, bs=32)
    learn = client.cnn_learner(data, "squeezenet1_1", pretrained=False, num_workers=2)
    learn.fit(1, 1e-3)
    before = learn.info()
    job = learn.fit(1000, 1e-3, wait=False)
    next(event for event in job.watch() if event.kind == "epoch_finished")
    job.cancel()
    with pytest.raises(JobCancelledError):
        job.wait()
    assert learn.info().checkpoint == before.checkpoint
    with pytest.raises(FailedPreconditionError):
        job.cancel()
    learn.load(job.name.removeprefix("jobs/"))
    assert learn.info().epochs_trained > before.epochs_trained


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
