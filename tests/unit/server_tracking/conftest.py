"""A new MLflow for each test, of a database that is made once."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.tracked_jobs import FaultyMlflow
from support.tracking import Tracking

from learnfleet.server.config import Config
from learnfleet.server.tracking.mlflow_client import mlflow_client


@pytest.fixture(scope="session")
def empty_mlflow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with MLflow's tables, which take seconds to make."""
    config = Config(tmp_path_factory.mktemp("empty"))
    (config.data_dir / "mlflow").mkdir()
    mlflow_client(config).search_experiments()
    return config.data_dir / "mlflow"


@pytest.fixture
def tracking(tmp_path: Path, empty_mlflow: Path) -> Iterator[Tracking]:
    shutil.copytree(empty_mlflow, tmp_path / "mlflow")
    config = Config(tmp_path)
    made = Tracking(config, FaultyMlflow(mlflow_client(config)))
    yield made
    made.store.close()
