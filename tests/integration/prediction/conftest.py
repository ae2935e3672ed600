"""One server with two models for all tests of a module: they ask, and change nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.exported_learners import noise_and_masks
from support.rpc_server import RunningServer, running_server
from support.served_models import ALIASES, exported_models
from support.stand_in_inference import PredictorInference

from learnfleet.client import Client
from learnfleet.trainer.predictor import Predictor


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return noise_and_masks(tmp_path_factory.mktemp("pictures"))


@pytest.fixture(scope="session")
def models(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Predictor]:
    return exported_models(pictures, tmp_path_factory.mktemp("learners"))


@pytest.fixture(scope="session")
def inference(models: dict[str, Predictor]) -> PredictorInference:
    return PredictorInference(models, ALIASES)


@pytest.fixture(scope="session")
def server(
    tmp_path_factory: pytest.TempPathFactory, pictures: Path, inference: PredictorInference
) -> Iterator[RunningServer]:
    with running_server(tmp_path_factory.mktemp("server"), pictures, inference=inference) as running:
        yield running


@pytest.fixture(scope="session")
def client(server: RunningServer) -> Iterator[Client]:
    with Client.connect(server.address, retry_s=5.0) as connected:
        yield connected


@pytest.fixture(scope="session")
def content(pictures: Path) -> bytes:
    return (pictures / "secret" / "0.png").read_bytes()
