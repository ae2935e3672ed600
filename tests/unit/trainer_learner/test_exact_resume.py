"""A job killed by SIGKILL anywhere ends with the bits of one never killed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

TESTS = Path(__file__).parents[2]
# 30 pictures in batches of 7: steps 0-3, 4-7 and 8-11 are the epochs; the model is frozen before the third.
KILLS_OF_ONE = [
    [0, "on_backward_end", 0],  # before there is any checkpoint
    [2, "on_backward_end", 0],
    [3, "on_batch_end", 0],  # the checkpoint of this step is being written
    [4, "validation", 0],
    [8, "on_epoch_end", 0],
    [9, "on_batch_end", 0],
]
KILLS_OF_TWO = [[2, "on_backward_end", 1], [5, "on_batch_end", 0], [8, "validation", 1], [10, "on_backward_end", 0]]


def run_job(folder: Path, world_size: int, kills: list[list[Any]]) -> dict[str, Any]:
    path = os.pathsep.join([str(TESTS), str(TESTS.parent / "trainer"), os.environ.get("PYTHONPATH", "")])
    subprocess.run(
        [sys.executable, "-m", "support.killed_job", str(folder), str(world_size), json.dumps(kills)],
        env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
        check=True,
        timeout=200,
    )
    result: dict[str, Any] = json.loads((folder / "result.json").read_text())
    return result


@pytest.mark.parametrize(
    ("world_size", "kills"), [(1, KILLS_OF_ONE), (2, KILLS_OF_TWO), (3, KILLS_OF_TWO[:2])], ids=["1", "2", "3"]
)
def test_a_killed_job_ends_with_the_same_model_and_optimizer_as_one_never_killed(
    tmp_path: Path, world_size: int, kills: list[list[Any]]
) -> None:
    result = run_job(tmp_path / "job", world_size, kills)
    whole, killed = result["whole"], result["killed"]
    assert whole["ranks"][0]["attempt"] == 1
    assert killed["ranks"][0]["attempt"] == len(kills) + 1
    for name in ("model", "optimizer", "metrics", "exact"):
        assert {rank[name] == whole["ranks"][0][name] for rank in killed["ranks"]} == {True}, name
    assert killed["ranks"][0]["exact"] is True
    assert killed["epochs"] == whole["epochs"]
