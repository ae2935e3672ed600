"""A server for each test: they are cheap, and what one leaves in the store cannot help another."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.pictures import a_data_folder
from support.rpc_server import RunningServer, running_server

from learnfleet.v1 import job_pb2, learner_pb2, training_service_pb2

Request = training_service_pb2.TrainRequest


@pytest.fixture(scope="session")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data root, with a folder `pets` of two classes."""
    folder = tmp_path_factory.mktemp("root")
    a_data_folder(folder / "pets", classes=("cat", "dog"))
    return folder


@pytest.fixture
def server(tmp_path: Path, root: Path) -> Iterator[RunningServer]:
    with running_server(tmp_path, root) as running:
        yield running


@pytest.fixture
def a_request() -> Callable[..., Request]:
    """A request that is right: resnet18 on `pets` for one epoch. Named fields are put in place of its own."""

    def make(**fields: object) -> Request:
        if "learner" not in fields:
            data = learner_pb2.DataSpec(folder=learner_pb2.FolderSource(path="pets"), batch_size=4)
            fields.setdefault("learner_spec", learner_pb2.LearnerSpec(data=data, architecture="resnet18"))
        fields.setdefault("stages", [job_pb2.Stage(fit=job_pb2.Fit(epochs=1))])
        return Request(**fields)

    return make
