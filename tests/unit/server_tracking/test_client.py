"""How MLflow is had."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from learnfleet.server.config import Config
from learnfleet.server.tracking.mlflow_client import mlflow_client


def test_pickled_models_stay_forbidden_whatever_the_environment_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "true")
    mlflow_client(Config(tmp_path, mlflow_uri="http://127.0.0.1:9"))  # nobody is asked yet
    assert os.environ["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] == "false"
