"""A job with any callbacks that is killed anywhere ends as one never killed, in every bit and every table."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from support.any_job import FIT, FREEZE, OF_A_STAGE, OF_PICTURES, ONE_CYCLE, scenarios
from support.resume_lab import Lab, Scenario

from learnfleet.trainer.callback_registry import available_callbacks

STAGES = [ONE_CYCLE, FREEZE, FIT]  # 4 steps an epoch: 0-3, 4-7 and 8-11


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with Lab(tmp_path_factory.mktemp("lab")) as lab:
        yield lab


def kills_at(places: list[tuple[str, int]], rank: int = 0) -> list[tuple[str, int, int]]:
    return [(place, step, rank) for place, step in places]


def test_f095_a_job_killed_between_two_stages_goes_on_with_what_the_first_ended_with(lab: Lab) -> None:
    """EMA and SaveModel change the weights when a fit ends: after its last epoch, and before the next stage."""
    callbacks: list[tuple[str, dict[str, Any]]] = [("ema", {"decay": 0.5}), ("save_model", {"monitor": "accuracy"})]
    for place, step in (("on_train_end", 8), ("on_train_begin", 8), ("on_epoch_end", 7)):
        found = lab.check(Scenario(STAGES, callbacks, waits=True, kills=kills_at([(place, step)])))
        assert found["attempts"] == 2


@pytest.mark.parametrize("world_size", [1, 2])
@pytest.mark.parametrize("with_opt", [True, False])
def test_f081_f095_the_best_averages_are_those_of_a_job_never_killed(lab: Lab, world_size: int, with_opt: bool) -> None:
    """Killed with the averages in the model, between the save of the best and the checkpoint, and before the best."""
    callbacks = [("ema", {"decay": 0.7}), ("save_model", {"monitor": "accuracy", "with_opt": with_opt})]
    kills = [("on_step_end", 2, 0), ("validation", 4, world_size - 1), ("on_epoch_end", 4, 0), ("on_batch_end", 6, 0)]
    kills += [("write", 3, 0), ("on_train_end", 12, world_size - 1), ("validation", 16, 0)]
    stages = [{**ONE_CYCLE, "epochs": 3}, FREEZE, FIT]
    scenario = Scenario(stages, callbacks, world_size=world_size, every_steps=3, waits=True, kills=kills)
    found = lab.check(scenario)
    assert found["attempts"] == 8
    assert "models/bestmodel/model.safetensors" in found["files"]


def test_f095_a_job_killed_again_and_again_at_all_places_ends_as_without_kills(lab: Lab) -> None:
    callbacks: list[tuple[str, dict[str, Any]]] = [
        ("ema", {"decay": 0.9}),
        ("mixup", {}),
        ("accumulate", {"n_step": 2}),
        ("gradient_clipping", {"clip": 0.5}),
        ("mixed_precision", {"loss_scale": 2.0**24, "max_noskip": 2}),
        ("csv_logger", {}),
        ("save_model", {}),
    ]
    places = [("on_backward_end", 1), ("write", 2), ("on_batch_end", 3), ("validation", 4), ("on_step_end", 6)]
    places += [("on_epoch_end", 7), ("on_train_end", 8), ("stop", 9), ("write", 4), ("on_epoch_begin", 12)]
    found = lab.check(Scenario([*STAGES, FIT], callbacks, waits=True, kills=kills_at(places)))
    assert found["attempts"] == 11


def test_f095_a_job_killed_inside_a_learning_rate_search_searches_again_and_finds_the_same(lab: Lab) -> None:
    search = {"kind": "lr_find", "num_it": 6}
    places = [("on_backward_end", 2), ("on_epoch_begin", 4), ("on_backward_end", 6), ("on_train_end", 8), ("stop", 5)]
    for place in places:
        found = lab.check(Scenario([FIT, search, FIT, search], waits=True, kills=kills_at([place])))
        assert {"lr_found/1", "lr_found/3"} <= set(found["events"])


def test_f095_pictures_are_drawn_mixed_and_augmented_again_as_they_were(lab: Lab) -> None:
    for mixing in ("mixup", "cutmix"):
        callbacks: list[tuple[str, dict[str, Any]]] = [(mixing, {}), ("over_sampling", {})]
        places = [("on_backward_end", 2), ("validation", 3), ("on_batch_begin", 5)]
        found = lab.check(Scenario([ONE_CYCLE], callbacks, data="pictures", every_steps=1, kills=kills_at(places)))
        assert found["attempts"] == 4


def test_f095_either_of_two_ranks_may_die(lab: Lab) -> None:
    callbacks: list[tuple[str, dict[str, Any]]] = [
        ("ema", {"decay": 0.9}),
        ("mixup", {}),
        ("accumulate", {"n_step": 3}),
        ("save_model", {}),
        ("reduce_lr_on_plateau", {"min_delta": 0.5, "min_lr": 1e-5}),
        ("csv_logger", {}),
    ]
    kills = [("on_backward_end", 2, 1), ("validation", 4, 0), ("on_batch_end", 6, 1), ("write", 3, 0), ("stop", 9, 1)]
    found = lab.check(Scenario(STAGES, callbacks, world_size=2, every_steps=1, waits=True, kills=kills))
    assert found["attempts"] == 6


def test_f095_a_stop_that_a_callback_has_asked_for_is_not_forgotten(lab: Lab) -> None:
    """The checkpoint of the step and the death are between the wish and the end of the epoch."""
    for name, arguments, step in (
        ("stop_after_n_batches", {"n_batches": 2}, 2),
        ("stop_after_n_batches", {"n_batches": 6}, 6),
        ("flat_cos", {"lr": 0.01, "tot_epochs": 1}, 5),  # shorter than the fit: it stops one batch later
    ):
        stage = {**FIT, "epochs": 2, "callbacks": [{"name": name, "arguments": arguments}]}
        for place in ("on_epoch_end", "on_train_end"):
            scenario = Scenario([stage, FIT], every_steps=1, waits=True, kills=kills_at([(place, step)]))
            assert lab.check(scenario)["attempts"] == 2


@pytest.mark.parametrize("world_size", [1, 2])
def test_f078_f095_a_recurrent_model_goes_on_inside_an_epoch_with_the_state_that_it_carries(
    lab: Lab, world_size: int
) -> None:
    """An epoch of the text has 9 steps. Each attempt is killed in an epoch that the one before was killed in."""
    last = world_size - 1
    kills = [("on_backward_end", 1, 0), ("on_batch_end", 4, last), ("write", 4, 0), ("validation", 8, last)]
    kills += [("on_loss_begin", 12, last), ("stop", 13, 0), ("on_step_end", 16, 0)]
    scenario = Scenario([ONE_CYCLE], data="text", world_size=world_size, every_steps=1, waits=True, kills=kills)
    found = lab.check(scenario)
    assert found["attempts"] == 8
    inside = [position for position in found["checkpoints"] if json.loads(position)["batch"]]
    assert len(inside) >= 16


@pytest.mark.parametrize("of", ["learner", "stage"])
def test_f073_f095_an_appending_table_has_no_line_twice_wherever_a_job_is_killed(lab: Lab, of: str) -> None:
    """Without checkpoints inside epochs: a line is on disk before anything that says whose it is."""
    logger = ("csv_logger", {"append": True})
    of_a_stage = [{"name": logger[0], "arguments": logger[1]}] if of == "stage" else []
    scenario = Scenario(
        [{**FIT, "callbacks": of_a_stage}] * 3,
        [logger] if of == "learner" else [],
        files={"history.csv": "epoch,train_loss,valid_loss,accuracy,time\n0,2.0,3.0,0.1,00:01\n"},
        every_steps=None,
        waits=True,
        kills=kills_at([("on_epoch_end", 3), ("on_train_end", 4), ("on_epoch_end", 7), ("on_train_end", 12)]),
    )
    assert lab.check(scenario)["attempts"] == 5
    assert len(lab.whole(scenario)["files"]["history.csv"]) == 5


def test_f062_f095_a_metric_that_is_a_callback_keeps_its_state(lab: Lab) -> None:
    for place, step in (("on_backward_end", 5), ("on_train_begin", 8), ("validation", 4)):
        scenario = Scenario([ONE_CYCLE, FIT], learner={"metrics": ["accuracy", "best"]}, waits=True)
        lab.check(replace(scenario, kills=kills_at([(place, step)])))


@pytest.mark.parametrize("world_size", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_f095_a_compiled_learner_is_resumed_as_any_other(lab: Lab, world_size: int) -> None:
    kills = [("on_backward_end", 2, world_size - 1)]
    compiled = Scenario([FIT], [], {"compiled": True}, world_size=world_size, every_steps=1, waits=True, kills=kills)
    assert lab.check(compiled)["attempts"] == 2


def test_f095_the_lab_finds_a_callback_that_loses_its_state(lab: Lab) -> None:
    """What it says of the others would be worth nothing if it did not."""
    scenario = Scenario(STAGES, [("forgetful", {})], waits=True, kills=kills_at([("on_backward_end", 5)]))
    with pytest.raises(AssertionError, match="model"):
        lab.check(scenario)


def test_f095_every_registered_callback_takes_part_in_any_job() -> None:
    measures = {"peak_mem"}  # no two runs use the same memory
    assert {name for group in OF_PICTURES for name in group} | {*OF_A_STAGE, "rnn_trainer"} == {
        name for name in available_callbacks() if name not in measures
    }


NO_HEALTH_CHECKS = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]


@pytest.mark.parametrize("world_size", [1, 2])
def test_f067_f095_what_each_rank_has_measured_in_earlier_fits_is_kept(lab: Lab, world_size: int) -> None:
    kills = [("on_train_begin", 4, 0), ("validation", 8, world_size - 1), ("on_train_begin", 8, world_size - 1)]
    learner = {"metrics": ["accuracy", "best"]}
    found = lab.check(Scenario([FIT, FIT, FIT], [], learner=learner, world_size=world_size, waits=True, kills=kills))
    assert found["attempts"] == 4


@settings(max_examples=10, deadline=None, derandomize=True, suppress_health_check=NO_HEALTH_CHECKS)
@given(scenario=scenarios())
def test_any_callbacks_and_any_kills_end_as_without_kills(lab: Lab, scenario: Scenario) -> None:
    lab.check(scenario)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@settings(max_examples=300, deadline=None, suppress_health_check=NO_HEALTH_CHECKS)
@given(scenario=scenarios(max_kills=4))
def test_any_callbacks_and_many_kills_end_as_without_kills(lab: Lab, scenario: Scenario) -> None:
    lab.check(scenario)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@settings(max_examples=60, deadline=None, suppress_health_check=NO_HEALTH_CHECKS)
@given(scenario=scenarios(world_size=2))
def test_any_callbacks_and_kills_of_either_of_two_ranks_end_as_without_kills(lab: Lab, scenario: Scenario) -> None:
    lab.check(scenario)
