"""The one-cycle schedule against its oracle."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.memory_data import MemoryData, a_learner

from learnfleet.trainer.schedules import OneCycle, anneal_cosine, anneal_exponential, anneal_linear, anneal_none

ORACLES = Path(__file__).parents[4] / "shared" / "learner" / "oracles.json"


def oracle(name: str) -> dict[str, object]:
    if not ORACLES.exists():
        pytest.skip("the shared oracles are not beside the project")
    found: dict[str, object] = next(item for item in json.loads(ORACLES.read_text())["oracles"] if item["id"] == name)
    return dict(found["expected"])  # type: ignore[call-overload]


def test_one_cycle_has_the_oracles_rate_and_momentum_at_every_step() -> None:
    expected, cycle = oracle("O02"), OneCycle()
    assert [cycle.lr(step, 20, 0.1) for step in range(20)] == pytest.approx(expected["lrs"], rel=1e-9)
    assert [cycle.mom(step, 20) for step in range(20)] == pytest.approx(expected["moms"], rel=1e-9)


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


@pytest.mark.parametrize("total", [1, 2, 3])
def test_the_shortest_cycles_stay_within_their_bounds(total: int) -> None:
    rates = [OneCycle().lr(step, total, 1.0) for step in range(total + 1)]
    assert all(0 < rate <= 1 for rate in rates)
    assert rates[-1] < 1e-3


def test_a_step_outside_the_cycle_is_refused() -> None:
    with pytest.raises(ValueError, match="step 21 is outside the cycle of 20 steps"):
        OneCycle().lr(21, 20, 0.1)


@pytest.mark.parametrize(
    ("anneal", "middle"),
    [(anneal_none, 1.0), (anneal_linear, 2.5), (anneal_exponential, 2.0), (anneal_cosine, 2.5)],
)
def test_annealings_run_from_start_to_end(anneal: object, middle: float) -> None:
    assert callable(anneal)
    end = 1.0 if anneal is anneal_none else 4.0
    assert [anneal(1.0, 4.0, share) for share in (0.0, 0.5, 1.0)] == pytest.approx([1.0, middle, end])
