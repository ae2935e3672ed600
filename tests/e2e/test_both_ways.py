"""One notebook, run with either import line, comes to the same numbers."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from learnfleet.server.commands.local_server import LocalServer

NOTEBOOK = Path(__file__).parent / "scripts" / "notebook.py"
LOCAL, REMOTE = "from learnfleet.trainer import *", "from learnfleet.client import *"
_ONE_THREAD = {"OMP_NUM_THREADS": "1"}  # as a worker has: sums are then taken in the same order


def run(line: str, folder: Path, pictures: Path, **environment: str) -> dict[str, Any]:
    """What the notebook tells when it begins with this line."""
    script = folder / "notebook.py"
    script.write_text(NOTEBOOK.read_text().replace(LOCAL, line))
    paths = {"LEARNFLEET_PICTURES": str(pictures), "LEARNFLEET_TOLD": str(folder / "told.json")}
    done = subprocess.run(
        [sys.executable, str(script)], env={**os.environ, **paths, **environment}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return dict(json.loads((folder / "told.json").read_text()))


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_notebook_gives_the_same_numbers_with_either_import_line(
    server: LocalServer, pictures: Path, tmp_path: Path
) -> None:
    assert LOCAL in NOTEBOOK.read_text()
    for name in ("local", "remote"):
        (tmp_path / name).mkdir()
    own = shutil.copytree(pictures / "digits", tmp_path / "digits")  # the trainer writes beside its pictures
    local = run(LOCAL, tmp_path / "local", own, **_ONE_THREAD)
    remote = run(REMOTE, tmp_path / "remote", pictures / "digits", LEARNFLEET_ADDRESS=server.address)
    assert list(local) == list(remote)
    different = {name: (local[name], remote[name]) for name in local if local[name] != remote[name]}
    assert different == {}
    assert local["back"] == local["validate"] != local["after another epoch"]
