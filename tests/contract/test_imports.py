"""The dependency rule: who may import whom."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HEAVY = ("torch", "numpy", "ray", "mlflow", "sqlalchemy", "matplotlib", "PIL", "pandas", "IPython")


def test_every_import_contract_of_pyproject_holds() -> None:
    # In a process of its own: the linter disables every logger of the process it runs in.
    code = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("module", "forbidden"),
    [
        ("learnfleet.client", (*HEAVY, "learnfleet.server", "learnfleet.trainer")),
        ("learnfleet.client.cli.main", (*HEAVY, "learnfleet.server", "learnfleet.trainer")),
        ("learnfleet.server.app", ("torch", "torchvision", "ray", "mlflow", "alembic")),
        ("learnfleet.trainer", ("torch", "grpc", "ray", "mlflow")),
    ],
)
def test_importing_a_module_does_not_load_what_it_must_not(module: str, forbidden: tuple[str, ...]) -> None:
    code = f"import sys, {module}; print([name for name in {forbidden!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
