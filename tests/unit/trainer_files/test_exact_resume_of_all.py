"""A job with any callbacks that is killed anywhere ends as one never killed, in every bit and every table."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.resume_lab import Lab, Scenario

ONE_CYCLE = {"kind": "fit_one_cycle", "epochs": 2, "max_lr": {"value": 0.05}}
FIT = {"kind": "fit", "epochs": 1}
FREEZE = {"kind": "freeze_to", "n": -1}
STAGES = [ONE_CYCLE, FREEZE, FIT]  # 4 steps an epoch: 0-3, 4-7 and 8-11


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with Lab(tmp_path_factory.mktemp("lab")) as lab:
        yield lab


def test_a_job_killed_between_two_stages_goes_on_with_what_the_first_ended_with(lab: Lab) -> None:
    """EMA and SaveModel change the weights when a fit ends: after its last epoch, and before the next stage."""
    callbacks: list[tuple[str, dict[str, Any]]] = [("ema", {"decay": 0.5})]
    for place, step in (("on_train_end", 8), ("on_train_begin", 8), ("on_batch_begin", 8), ("on_epoch_end", 7)):
        for waits in (True, False):
            lab.check(Scenario(STAGES, callbacks, waits=waits, kills=[(place, step, 0)]))


STEPS = st.integers(0, 11)
PLACES = st.sampled_from(
    [
        "on_train_begin",
        "on_epoch_begin",
        "on_batch_begin",
        "on_loss_begin",
        "on_backward_begin",
        "on_backward_end",
        "on_step_end",
        "on_batch_end",
        "validation",
        "on_epoch_end",
        "on_train_end",
        "write",
        "stop",
    ]
)
KILLS = st.tuples(PLACES, STEPS, st.just(0))
CALLBACKS: dict[str, st.SearchStrategy[dict[str, Any]]] = {
    "ema": st.fixed_dictionaries({"decay": st.sampled_from([0.5, 0.99])}),
    "save_model": st.fixed_dictionaries(
        {"monitor": st.sampled_from(["valid_loss", "accuracy"]), "with_opt": st.booleans()}
    ),
    "early_stopping": st.fixed_dictionaries({"patience": st.integers(0, 1), "min_delta": st.sampled_from([0.0, 0.2])}),
    "reduce_lr_on_plateau": st.fixed_dictionaries({"min_delta": st.sampled_from([0.0, 0.5])}),
    "csv_logger": st.just({}),
    "track_epoch": st.just({}),
}
MIXING = st.sampled_from([[], [("mixup", {})], [("cutmix", {})]])
STAGE = st.sampled_from(
    [
        FIT,
        {**FIT, "epochs": 2, "lr": {"start": 1e-3, "stop": 1e-2}},
        ONE_CYCLE,
        {"kind": "fit_flat_cos", "epochs": 2, "lr": {"value": 0.01}},
        {"kind": "fit_sgdr", "n_cycles": 2, "cycle_len": 1, "lr_max": {"value": 0.02}},
        FREEZE,
        {"kind": "freeze_to", "n": 0},
        {"kind": "freeze_to", "n": 1},
    ]
)
LEARNERS = st.fixed_dictionaries(
    {
        "opt_func": st.sampled_from(["adam", "sgd"]),
        "true_wd": st.booleans(),
        "bn_wd": st.booleans(),
        "train_bn": st.booleans(),
        "loss": st.sampled_from(["cross_entropy", "label_smoothing", "focal"]),
    }
)


@st.composite
def scenarios(draw: st.DrawFn, max_kills: int = 2) -> Scenario:
    chosen = draw(st.lists(st.sampled_from(sorted(CALLBACKS)), unique=True, max_size=4))
    callbacks = [(name, draw(CALLBACKS[name])) for name in chosen] + draw(MIXING)
    return Scenario(
        draw(st.lists(STAGE, min_size=1, max_size=3)),
        callbacks,
        draw(LEARNERS),
        draw(st.sampled_from(["memory", "memory", "pictures"])),
        every_steps=draw(st.sampled_from([None, 1, 2, 3])),
        waits=draw(st.booleans()),
        kills=draw(st.lists(KILLS, min_size=1, max_size=max_kills)),
    )


NO_HEALTH_CHECKS = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]


@settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=NO_HEALTH_CHECKS)
@given(scenario=scenarios())
def test_any_callbacks_and_any_kills_end_as_without_kills(lab: Lab, scenario: Scenario) -> None:
    lab.check(scenario)


@pytest.mark.slow
@settings(max_examples=400, deadline=None, suppress_health_check=NO_HEALTH_CHECKS)
@given(scenario=scenarios(max_kills=4))
def test_any_callbacks_and_many_kills_end_as_without_kills(lab: Lab, scenario: Scenario) -> None:
    lab.check(scenario)


@pytest.mark.slow
@settings(max_examples=60, deadline=None, suppress_health_check=NO_HEALTH_CHECKS)
@given(scenario=scenarios(), rank=st.integers(0, 1))
def test_any_callbacks_and_kills_of_either_of_two_ranks_end_as_without_kills(
    lab: Lab, scenario: Scenario, rank: int
) -> None:
    lab.check(replace(scenario, world_size=2, kills=[(place, step, rank) for place, step, _ in scenario.kills]))
