"""A notebook that is run with either import line comes to the same numbers."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from learnfleet.server.commands.local_server import LocalServer

SCRIPTS = Path(__file__).parent / "scripts"
LOCAL, REMOTE = "from learnfleet.trainer import *", "from learnfleet.client import *"
_ONE_THREAD = {"OMP_NUM_THREADS": "1"}  # as a worker has: sums are then taken in the same order


def run(notebook: str, line: str, folder: Path, pictures: Path, **environment: str) -> dict[str, Any]:
    """What a notebook tells when it begins with this line."""
    content = (SCRIPTS / notebook).read_text()
    assert LOCAL in content
    script = folder / notebook
    script.write_text(content.replace(LOCAL, line))
    paths = {"LEARNFLEET_PICTURES": str(pictures), "LEARNFLEET_TOLD": str(folder / "told.json")}
    done = subprocess.run(
        [sys.executable, str(script)], env={**os.environ, **paths, **environment}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return dict(json.loads((folder / "told.json").read_text()))


def both_ways(notebook: str, folder: Path, data: Path, server: LocalServer) -> dict[str, Any]:
    """What it tells, the same with either line."""
    for name in ("local", "remote"):
        (folder / name).mkdir()
    own = shutil.copytree(data, folder / data.name)  # the trainer writes beside its pictures
    local = run(notebook, LOCAL, folder / "local", own, **_ONE_THREAD)
    remote = run(notebook, REMOTE, folder / "remote", data, LEARNFLEET_ADDRESS=server.address)
    assert list(local) == list(remote)
    different = {name: (local[name], remote[name]) for name in local if local[name] != remote[name]}
    assert different == {}
    return local


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_notebook_gives_the_same_numbers_with_either_import_line(
    server: LocalServer, pictures: Path, tmp_path: Path
) -> None:
    told = both_ways("notebook.py", tmp_path, pictures / "digits", server)
    assert told["back"] == told["validate"] != told["after another epoch"]


def squares_in(folder: Path) -> Path:
    """Bright squares on dark ground, and masks of them as <name>_P.png, with a border that is neither."""
    random = np.random.default_rng(0)
    for name in ("images", "labels"):
        (folder / name).mkdir(parents=True)
    for number in range(24):
        pixels, mask = random.integers(0, 60, (32, 32, 3), dtype=np.uint8), np.zeros((32, 32), np.uint8)
        top, left = random.integers(1, 16, 2)
        mask[top - 1 : top + 15, left - 1 : left + 15] = 2
        pixels[top : top + 14, left : left + 14] += 160
        mask[top : top + 14, left : left + 14] = 1
        Image.fromarray(pixels).save(folder / "images" / f"{number}.png")
        Image.fromarray(mask).save(folder / "labels" / f"{number}_P.png")
    return folder


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_notebook_with_masks_gives_the_same_numbers_with_either_import_line(
    server: LocalServer, pictures: Path, tmp_path: Path
) -> None:
    told = both_ways("masks.py", tmp_path, squares_in(pictures / "squares-both-ways"), server)
    assert told["back"] == told["validate"] != told["after another epoch"]
