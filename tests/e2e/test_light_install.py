"""The client alone, installed as a user installs it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HEAVY = {"torch", "torchvision", "timm", "ray", "mlflow", "sqlalchemy", "alembic", "numpy", "pillow", "matplotlib"}


@pytest.mark.slow
def test_pip_install_brings_a_client_and_nothing_heavy(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path)], check=True)
    python, environment = tmp_path / "bin" / "python", {"PATH": "/usr/bin:/bin"}  # no PYTHONPATH of ours

    def run(*command: str) -> str:
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=250)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    run(str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", str(ROOT))
    listed = json.loads(run(str(python), "-m", "pip", "list", "--format", "json", "--disable-pip-version-check"))
    names = {item["name"].lower() for item in listed}
    assert "learnfleet" in names
    assert not names & HEAVY
    assert not [name for name in names if name.startswith("nvidia")]
    run(str(python), "-c", "from learnfleet.client import Client; Client.connect('127.0.0.1:1').close()")
    assert "serve" in run(str(tmp_path / "bin" / "learnfleet"), "--help")
