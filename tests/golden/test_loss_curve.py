"""A short run's losses, as they were when the loop was last changed on purpose.

To accept a change on purpose, write the new values into loss_curve.json, with the reason in the commit message.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from support.memory_data import MemoryData, a_learner, tiny_model
from support.ranks import run_ranks

GOLDEN = json.loads((Path(__file__).parent / "loss_curve.json").read_text())


def curve(rank: int, folder: Path) -> dict[str, Any]:
    """One cycle, frozen, then a plain fit on all of it."""
    torch.set_num_threads(1)
    learner = a_learner(MemoryData(70, 31), tiny_model(dropout=0, bn=False), metrics="accuracy")
    learner.freeze()
    learner.fit_one_cycle(2, 5e-2)
    first = learner.recorder
    learner.unfreeze()
    learner.fit(2, slice(1e-3, 5e-2))
    second = learner.recorder
    return {
        "train": [*first.losses, *second.losses],
        "valid": [*first.val_losses, *second.val_losses],
        "accuracy": [row[0] for row in (*first.metrics, *second.metrics)],
    }


def assert_golden(found: dict[str, Any]) -> None:
    for name, values in GOLDEN.items():
        assert found[name] == pytest.approx(values, rel=2e-5), name


def test_one_process_follows_the_golden_loss_curve(tmp_path: Path) -> None:
    assert_golden(curve(0, tmp_path))


def test_two_ranks_follow_the_golden_loss_curve(tmp_path: Path) -> None:
    for found in run_ranks([curve], tmp_path)["curve"]:
        assert_golden(found)
