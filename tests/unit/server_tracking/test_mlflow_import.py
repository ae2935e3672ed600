"""MLflow is imported by whichever threads come first, at once."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

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
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", _PROGRAM, str(tmp_path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout.strip().splitlines()[-1:] == ["[]"], done.stdout + done.stderr
