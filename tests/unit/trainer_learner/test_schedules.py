"""Schedules of learning rate and momentum: fastai's numbers, parts of cycles, phases."""

from __future__ import annotations

import pytest
import torch
from support.memory_data import MemoryData, a_learner

from learnfleet.trainer.anneals import anneal_named, annealing_linear, annealing_poly
from learnfleet.trainer.callback import Callback
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.phases import TrainingPhase, values_at
from learnfleet.trainer.schedules import GeneralScheduler, OneCycleScheduler, one_cycle_phases
from learnfleet.trainer.state import TrainState

# Oracle O02: 20 batches, peak 0.1, fastai v1 executed.
LRS = [
    0.0040000000000000036,
    0.010430780618346944,
    0.027999999999999997,
    0.052000000000000005,
    0.076,
    0.09356921938165307,
    0.1,
    0.09874640062350874,
    0.09504846320134738,
    0.089091617757105,
    0.0811745653949763,
    0.07169430017913009,
    0.06112620219362893,
    0.0500002,
    0.03887419780637107,
    0.028306099820869922,
    0.0188258346050237,
    0.010908782242895003,
    0.004951936798652629,
    0.0012539993764912555,
]
MOMS = [
    0.95,
    0.9433012701892219,
    0.9249999999999999,
    0.8999999999999999,
    0.875,
    0.856698729810778,
    0.85,
    0.8512536043909088,
    0.854951556604879,
    0.8609084258765984,
    0.8688255099070633,
    0.878305813044122,
    0.8888739533021842,
    0.8999999999999999,
    0.9111260466978157,
    0.9216941869558779,
    0.9311744900929366,
    0.9390915741234015,
    0.945048443395121,
    0.9487463956090911,
]


def rates(n: int, name: str = "lr", **options: float) -> list[float]:
    phases = one_cycle_phases(n, [0.1], **options)  # type: ignore[arg-type]
    return [(values_at(phases, step) or {})[name][0] for step in range(n)]


def test_f053_one_cycle_has_the_oracles_rate_and_momentum_at_every_step() -> None:
    assert rates(20) == pytest.approx(LRS, rel=1e-9)
    assert rates(20, "mom") == pytest.approx(MOMS, rel=1e-9)


def test_a_one_cycle_fit_applies_the_oracles_values_and_leaves_the_last_in_the_optimizer() -> None:
    learner = a_learner(MemoryData(n_train=35, bs=7))
    learner.fit_one_cycle(4, 0.1)
    assert learner.recorder.lrs == pytest.approx(LRS, rel=1e-9)
    assert learner.recorder.moms == pytest.approx(MOMS, rel=1e-9)
    assert learner.require_optimizer().lr == pytest.approx(4e-7)
    assert learner.require_optimizer().mom == pytest.approx(0.95)


def test_a_cycle_peaks_at_each_groups_own_rate() -> None:
    learner = a_learner()
    learner.fit_one_cycle(1, slice(1e-4, 1e-2), pct_start=0.5)
    assert max(learner.recorder.lrs) == pytest.approx(1e-2)
    first_group = learner.require_optimizer().param_groups[0]["lr"]
    assert first_group / learner.require_optimizer().lr == pytest.approx(1e-2)


@pytest.mark.parametrize(("total", "expected"), [(1, [0.004]), (2, [0.004, 0.1]), (3, [0.004, 0.1, 0.0750001])])
def test_f054_each_half_of_the_shortest_cycles_has_a_batch(total: int, expected: list[float]) -> None:
    assert rates(total) == pytest.approx(expected, rel=1e-4)


def test_f053_the_last_values_of_a_cycle_stay_in_the_optimizer_and_defaults_are_fastais() -> None:
    learner = a_learner(MemoryData(n_train=35, bs=7))
    learner.fit_one_cycle(4)
    assert learner.recorder.lrs[0] == pytest.approx(3e-3 / 25)
    assert max(learner.recorder.lrs) == pytest.approx(3e-3)
    assert learner.require_optimizer().lr == pytest.approx(3e-3 / 25e4)
    assert learner.require_optimizer().param_groups[0]["lr"] == pytest.approx(3e-4 / 25e4)


def test_f053_final_div_and_a_third_momentum_are_kept() -> None:
    """fastai v2's cycle (oracle O05): its pct_start, its div_final and its three momenta."""
    found = [values_at(one_cycle_phases(20, [0.1], (0.95, 0.85, 0.95), 25, 0.25, 1e5), s) or {} for s in range(21)]
    assert found[1]["lr"][0] == pytest.approx(0.013167184270002533)
    assert found[19]["lr"][0] == pytest.approx(0.001093609037110088)
    assert found[6]["mom"][0] == pytest.approx(0.8510926199633096)
    assert found[20]["lr"][0] == pytest.approx(1e-6)


def test_f055_a_cycle_in_two_parts_has_the_rates_and_the_weights_of_one() -> None:
    whole, parts = a_learner(), a_learner()
    whole.fit_one_cycle(5, 1e-2)
    rates, losses = [], []
    for epochs, start in ((2, None), (5, 2)):
        parts.fit_one_cycle(epochs, 1e-2, tot_epochs=5, start_epoch=start)
        rates += parts.recorder.lrs
        losses += parts.recorder.losses[-1:]
    assert rates == pytest.approx(whole.recorder.lrs, rel=1e-12)
    assert [row.epoch for row in parts.recorder.rows] == [2, 3, 4]
    for one, other in zip(whole.model.state_dict().values(), parts.model.state_dict().values(), strict=True):
        assert torch.equal(one, other)


def test_f054_training_past_the_cycle_ends_after_one_more_batch() -> None:
    learner = a_learner()
    learner.fit_one_cycle(3, 1e-2, tot_epochs=1)
    assert len(learner.recorder.lrs) == 4 + 1
    assert learner.recorder.lrs[4] == pytest.approx(1e-2 / 25e4)
    assert [row.epoch for row in learner.recorder.rows] == [0, 1]


def test_f070_the_tutorials_cycle_as_a_callback_overrides_the_fits_rate() -> None:
    learner_ = a_learner(MemoryData(n_train=35, bs=7))
    one_cycle = OneCycleScheduler(learner_, lr_max=0.1)
    learner_.fit(4, lr=3e-4, callbacks=[one_cycle])
    assert learner_.recorder.lrs == pytest.approx(rates(20), rel=1e-9)
    assert learner_.one_cycle_scheduler is one_cycle  # type: ignore[attr-defined]
    learner_.fit(4, lr=3e-4, callbacks=[one_cycle])
    assert learner_.recorder.lrs == pytest.approx(rates(20), rel=1e-9)


def test_f070_the_callback_resolves_slices_and_lists() -> None:
    learner = a_learner()
    learner.fit(1, callbacks=[OneCycleScheduler(learner, slice(1e-4, 1e-2), pct_start=0.5)])
    assert max(learner.recorder.lrs) == pytest.approx(1e-2)
    with pytest.raises(LearnerError, match="2 values for 3 layer groups"):
        learner.fit(1, callbacks=[OneCycleScheduler(learner, [1e-3, 1e-2])])
    with pytest.raises(LearnerError, match=r"moms: \[0\.9\]: give 2 values"):
        OneCycleScheduler(learner, 0.1, moms=[0.9])


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("linear", [1.0, 0.7525, 0.505, 0.2575, 0.01]),
        ("exp", [1.0, 0.31622776601683794, 0.1, 0.03162277660168379, 0.01]),
        ("cos", [1.0, 0.855017856687341, 0.505, 0.15498214331265903, 0.01]),
        ("no", [1.0, 1.0, 1.0, 1.0, 1.0]),
        ("poly2", [1.0, 0.566875, 0.2575, 0.071875, 0.01]),
    ],
)
def test_f074_annealings_have_the_oracles_values(name: str, expected: list[float]) -> None:
    anneal = anneal_named(name)
    assert [anneal(1.0, 0.01, share) for share in (0, 0.25, 0.5, 0.75, 1)] == pytest.approx(expected, rel=1e-9)


def some_phases() -> list[TrainingPhase]:
    return [
        TrainingPhase(4).schedule_hp("lr", (0.1, 0.5)).schedule_hp("mom", 0.9),
        TrainingPhase(2).schedule_hp("lr", (1.0, 2.0), annealing_linear).schedule_hp("mom", 0.8, annealing_poly(1)),
    ]


def test_f074_a_phases_end_is_the_rate_of_the_batch_that_follows_it() -> None:
    learner = a_learner(MemoryData(n_train=14, bs=7))
    learner.fit(9, callbacks=[GeneralScheduler(learner, some_phases())])
    assert learner.recorder.lrs == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5, 1.5, 2.0])  # then it stops
    assert learner.recorder.moms == pytest.approx([0.9, 0.9, 0.9, 0.9, 0.9, 0.4, 0.0])
    assert len(learner.recorder.rows) == 4


@pytest.mark.parametrize(("share", "peak_at"), [(0, 1), (1, 8)])
def test_f054_a_cycle_may_fall_or_rise_only(share: float, peak_at: int) -> None:
    learner = a_learner()
    learner.fit_one_cycle(2, 1e-2, pct_start=share, div_factor=10.0)
    rates = [*learner.recorder.lrs, learner.require_optimizer().lr]
    assert rates[0] == pytest.approx(1e-3)
    assert rates.index(max(rates)) == peak_at
    assert max(rates) == pytest.approx(1e-2)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"moms": (1.5, 0.9)}, r"\(1.5, 0.9\): a momentum is from 0 to below 1"),
        ({"tot_epochs": 0}, "tot_epochs must be at least 1"),
        ({"start_epoch": -1}, "start_epoch at least 0"),
        ({"pct_start": 1.1}, "pct_start must be from 0 to 1"),
    ],
)
def test_f053_f055_a_cycle_that_cannot_be_is_refused(options: dict[str, object], told: str) -> None:
    with pytest.raises(LearnerError, match=told):
        a_learner().fit_one_cycle(1, 1e-2, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("options", [{"start_pct": 2.0}, {"start_pct": -0.1}, {"moms": 0.9}])
def test_f053_a_flat_fit_that_cannot_be_is_refused(options: dict[str, object]) -> None:
    with pytest.raises(LearnerError, match=r"start_pct must be from 0 to 1|give 2 values"):
        a_learner().fit_fc(1, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("phases", [TrainingPhase(3), [3], None])
def test_f074_what_are_no_phases_is_named(phases: object) -> None:
    with pytest.raises(LearnerError, match="is no list of TrainingPhase"):
        GeneralScheduler(a_learner(), phases)  # type: ignore[arg-type]


def test_f053_momenta_must_be_a_pair() -> None:
    with pytest.raises(LearnerError, match=r"0\.9: give 2 values, at the start and at the peak"):
        a_learner().fit_one_cycle(1, 1e-2, 0.9)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("vals", "told"),
    [((1, 2, 3), "is no \\(start, end\\)"), (slice(1e-3), "neither a number"), ("high", "neither a number")],
)
def test_f074_values_that_are_no_schedule_are_named(vals: object, told: str) -> None:
    with pytest.raises(LearnerError, match=told):
        TrainingPhase(3).schedule_hp("lr", vals)  # type: ignore[arg-type]


def test_f075_the_same_phases_and_the_same_callback_serve_another_fit() -> None:
    learner = a_learner(MemoryData(n_train=14, bs=7))
    scheduler = GeneralScheduler(learner, some_phases())
    found = []
    for _ in range(3):
        learner.fit(9, callbacks=[scheduler])
        found.append(learner.recorder.lrs)
    assert found[0] == found[1] == found[2]
    assert len(found[0]) == 7


def test_f074_any_hyper_parameter_is_scheduled_by_name_and_by_group() -> None:
    seen: list[tuple[float, ...]] = []

    class Watch(Callback):
        def on_batch_begin(self, state: TrainState) -> None:
            optimizer = state.learner.require_optimizer()
            if state.train:
                groups = optimizer.param_groups[::2]
                seen.append((*(group["lr"] for group in groups), optimizer.beta, optimizer.wd, groups[0]["eps"]))

    phase = TrainingPhase(4).schedule_hp("lr", ([0.0, 1.0, 2.0], [4.0, 5.0, 6.0]))
    phase.schedule_hp("beta", (0.8, 0.9)).schedule_hp("wd", (0.0, 0.4)).schedule_hp("eps", 1e-5)
    learner = a_learner()
    learner.fit(1, callbacks=[GeneralScheduler(learner, [phase]), Watch()])
    assert seen[0] == pytest.approx((0, 1, 2, 0.8, 0, 1e-5))
    assert seen[2] == pytest.approx((2, 3, 4, 0.85, 0.2, 1e-5))


def test_f074_a_name_that_the_optimizer_does_not_have_is_refused() -> None:
    learner = a_learner()
    with pytest.raises(LearnerError, match="adam has no 'alpha'; known: lr, wd, mom, beta, eps"):
        learner.fit(1, callbacks=[GeneralScheduler(learner, [TrainingPhase(4).schedule_hp("alpha", 0.1)])])
    with pytest.raises(LearnerError, match="2 values at the start and 3 at the end"):
        TrainingPhase(1).schedule_hp("lr", ([1.0, 2.0], [1.0, 2.0, 3.0]))


def test_f074_f055_phases_begin_with_a_later_epoch_when_told_to() -> None:
    learner = a_learner(MemoryData(n_train=14, bs=7))
    learner.fit(3, callbacks=[GeneralScheduler(learner, some_phases(), start_epoch=1)])
    assert learner.recorder.lrs == pytest.approx([0.3, 0.4, 0.5, 1.5])


@pytest.mark.parametrize(
    ("curve", "expected"),
    [
        ("cosine", [1.0] * 4 + [0.75, 0.25]),
        ("linear", [1.0] * 4 + [2 / 3, 1 / 3]),
        ("exponential", [1.0] * 4 + [1e-4 ** (1 / 3), 1e-4 ** (2 / 3)]),
    ],
)
def test_fit_fc_is_flat_and_then_annealed_along_its_curve(curve: str, expected: list[float]) -> None:
    learner = a_learner(MemoryData(n_train=42, bs=7))
    learner.fit_fc(1, 1.0, start_pct=0.5, curve=curve)
    assert learner.recorder.lrs == pytest.approx(expected, rel=1e-9)
    assert learner.recorder.moms == pytest.approx([0.95] * 4 + [0.85] * 2)


def test_fit_sgdr_restarts_with_longer_cycles() -> None:
    learner = a_learner(MemoryData(n_train=14, bs=7))
    learner.fit_sgdr(2, 1, 1.0)
    quarter = (1 - 0.5**0.5) / 2
    assert learner.recorder.lrs == pytest.approx([1, 0.5, 1, 1 - quarter, 0.5, quarter])
    assert learner.require_optimizer().lr == pytest.approx(0, abs=1e-12)


def test_fine_tune_trains_the_head_then_all_at_half_the_rate() -> None:
    seen: list[tuple[int, list[float]]] = []

    class Watch(Callback):
        def on_train_begin(self, state: TrainState) -> None:
            groups = state.learner.require_optimizer().param_groups[::2]
            seen.append((state.learner.frozen_to, [group["lr"] for group in groups]))

    learner = a_learner()
    learner.fine_tune(1, base_lr=2e-2, callbacks=[Watch()])
    assert [frozen for frozen, _ in seen] == [2, 0]
    assert seen[0][1] == pytest.approx([2e-3, 2e-3, 2e-2])  # before the cycle's own first rate
    assert seen[1][1] == pytest.approx([1e-4, 1e-3, 1e-2])
    assert learner.lifetime_epoch == 2
