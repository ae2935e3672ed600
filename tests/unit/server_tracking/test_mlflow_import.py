"""MLflow is imported by whichever threads come first, at once; and a process may end while it makes its database."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from support.uploads import until

# A process that has not imported it: the ways to it that the first seconds of a server take.
_PROGRAM = """
import sys, threading
from pathlib import Path
from learnfleet.server.config import Config
from learnfleet.server.tracking.mlflow_client import mlflow_client
from learnfleet.server.tracking.models import told

config, barrier, wrong = Config(Path(sys.argv[1])), threading.Barrier(6), []

def asks():
    barrier.wait()
    try:
        with told("models"):
            mlflow_client(config).search_experiments(max_results=1)
    except Exception as error:
        wrong.append(repr(error))

def exports():
    barrier.wait()
    try:
        mlflow_client(config).search_experiments(max_results=1)
    except Exception as error:
        wrong.append(repr(error))

threads = [threading.Thread(target=target) for target in (asks, exports) * 3]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(wrong)
"""


def test_threads_that_import_it_at_once_find_all_of_it(tmp_path: Path) -> None:
    (tmp_path / "mlflow").mkdir()
    done = subprocess.run(_command(_PROGRAM, tmp_path), env=_environment(), capture_output=True, text=True, timeout=120)
    assert done.stdout.strip().splitlines()[-1:] == ["[]"], done.stdout + done.stderr


_ASKS = """
import sys
from pathlib import Path
from learnfleet.server.config import Config
from learnfleet.server.tracking.mlflow_client import mlflow_client
print(len(mlflow_client(Config(Path(sys.argv[1]))).search_experiments()))
"""


def test_a_process_that_is_killed_while_mlflow_makes_its_database_leaves_none(tmp_path: Path) -> None:
    folder = tmp_path / "mlflow"
    process = subprocess.Popen(_command(_ASKS, tmp_path), env=_environment(), stdout=subprocess.PIPE)
    until(lambda: [path for path in folder.glob(".new-*/made.db") if path.stat().st_size], bool)
    process.kill()
    process.communicate()
    assert not (folder / "mlflow.db").exists()

    done = subprocess.run(_command(_ASKS, tmp_path), env=_environment(), capture_output=True, text=True, timeout=120)
    assert done.stdout.split()[-1:] == ["1"], done.stderr
    assert (folder / "mlflow.db").exists()


def _command(program: str, folder: Path) -> list[str]:
    return [sys.executable, "-c", program, str(folder)]


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
