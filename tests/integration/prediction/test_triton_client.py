"""Triton's own client, unchanged, as another process with its own protobuf."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from support.rpc_server import RunningServer
from support.served_models import MODEL
from support.triton_venv import triton_python

from learnfleet.trainer.predictor import Predictor


@pytest.mark.slow  # installs the client, once
def test_tritons_client_works_unchanged(server: RunningServer, models: dict[str, Predictor], pictures: Path) -> None:
    python = triton_python()
    script = Path(__file__).resolve().parents[2] / "support" / "triton_script.py"
    path = pictures / "secret" / "0.png"
    expected = models[MODEL].predict(path)[2].tolist()
    arguments = [server.address, str(path), json.dumps(expected), json.dumps(models[MODEL].classes)]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [str(python), str(script), *arguments], capture_output=True, text=True, timeout=200, env=environment
    )
    assert done.stdout.strip() == "done", done.stderr
