"""The one-cycle schedule against its oracle."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.memory_data import MemoryData, a_learner

from learnfleet.trainer.phases import values_at
from learnfleet.trainer.schedules import one_cycle_phases

ORACLES = Path(__file__).parents[4] / "shared" / "learner" / "oracles.json"


def oracle(name: str) -> dict[str, object]:
    if not ORACLES.exists():
        pytest.skip("the shared oracles are not beside the project")
    found: dict[str, object] = next(item for item in json.loads(ORACLES.read_text())["oracles"] if item["id"] == name)
    return dict(found["expected"])  # type: ignore[call-overload]


def rates(n: int, name: str = "lr", **options: float) -> list[float]:
    phases = one_cycle_phases(n, [0.1], **options)  # type: ignore[arg-type]
    return [(values_at(phases, step) or {})[name][0] for step in range(n)]


def test_f053_one_cycle_has_the_oracles_rate_and_momentum_at_every_step() -> None:
    expected = oracle("O02")
    assert rates(20) == pytest.approx(expected["lrs"], rel=1e-9)
    assert rates(20, "mom") == pytest.approx(expected["moms"], rel=1e-9)


def test_a_one_cycle_fit_applies_the_oracles_values_and_leaves_the_last_in_the_optimizer() -> None:
    expected = oracle("O02")
    learner = a_learner(MemoryData(n_train=35, bs=7))
    learner.fit_one_cycle(4, 0.1)
    assert learner.recorder.lrs == pytest.approx(expected["lrs"], rel=1e-9)
    assert learner.recorder.moms == pytest.approx(expected["moms"], rel=1e-9)
    assert learner.require_optimizer().lr == pytest.approx(expected["optimizer_lr_after_last_batch"])
    assert learner.require_optimizer().mom == pytest.approx(expected["optimizer_mom_after_last_batch"])


def test_a_cycle_peaks_at_each_groups_own_rate() -> None:
    learner = a_learner()
    learner.fit_one_cycle(1, slice(1e-4, 1e-2), pct_start=0.5)
    assert max(learner.recorder.lrs) == pytest.approx(1e-2)
    first_group = learner.require_optimizer().param_groups[0]["lr"]
    assert first_group / learner.require_optimizer().lr == pytest.approx(1e-2)


@pytest.mark.parametrize(("total", "expected"), [(1, [0.004]), (2, [0.004, 0.1]), (3, [0.004, 0.1, 0.0750001])])
def test_f054_each_half_of_the_shortest_cycles_has_a_batch(total: int, expected: list[float]) -> None:
    assert rates(total) == pytest.approx(expected, rel=1e-4)
