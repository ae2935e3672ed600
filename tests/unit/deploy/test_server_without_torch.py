"""The control server's code where there is no torch, as in its image."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

# Run by another interpreter: imports every module of the server, and what a task of Ray's imports of it by name.
_PROGRAM = """
import importlib, pkgutil, sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {names}:
            raise ModuleNotFoundError("not in the image: " + name, name=name)

sys.meta_path.insert(0, Missing())
import learnfleet.server
failed = []
for module in pkgutil.walk_packages(learnfleet.server.__path__, "learnfleet.server."):
    if "migrations" in module.name:
        continue
    try:
        importlib.import_module(module.name)
    except ImportError as error:
        failed.append(f"{module.name}: {error}")
for name in ("folder_check", "images", "folder", "files", "tensor_header", "manifest"):
    importlib.import_module("learnfleet.trainer." + name)
print("\\n".join(failed))
"""
_NAMES = ("torch", "torchvision", "timm", "torchmetrics", "captum", "tensorboardX", "nvidia")
_ONLY_SERVERS = ("sqlalchemy", "alembic", "mlflow", "grpc_health", "grpc_reflection", "fsspec", "psycopg")


def test_every_module_of_the_server_is_imported_without_torch() -> None:
    done = _run(_PROGRAM.replace("{names}", repr(_NAMES)))

    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr


def test_the_code_of_workers_is_imported_without_what_only_servers_have() -> None:
    names = ("workers.train_worker", "workers.explain_worker", "workers.ray_host", "workers.run", "inference.replica")
    imports = "\n".join(f"import learnfleet.server.{name}" for name in names)
    missing = f"import sys\nfor name in {_ONLY_SERVERS!r}: sys.modules[name] = None\n"

    done = _run(missing + imports)

    assert done.returncode == 0, done.stderr


def test_a_server_without_workers_wants_to_know_a_cluster(tmp_path: Path) -> None:
    """With a Ray of its own every job would fail, long after whoever started the server has gone."""
    program = "import sys; sys.modules['torch'] = None\nfrom learnfleet.client.cli.main import main\nmain()"

    done = _run(program, "serve", "--data-dir", str(tmp_path / "data"), "--listen", "127.0.0.1:0")

    assert done.returncode == 2
    assert "learnfleet[worker]" in done.stderr
    assert "--ray-address" in done.stderr


def _run(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "COLUMNS": "400"}
    command = [sys.executable, "-c", program, *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
