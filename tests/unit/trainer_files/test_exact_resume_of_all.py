"""A job with any callbacks that is killed anywhere ends as one never killed, in every bit and every table."""

from __future__ import annotations

import json
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


def test_f095_the_lab_finds_a_callback_that_loses_its_state(lab: Lab) -> None:
    """What it says of the others would be worth nothing if it did not."""
    scenario = Scenario(STAGES, [("forgetful", {})], waits=True, kills=kills_at([("on_backward_end", 5)]))
    with pytest.raises(AssertionError, match="model"):
        lab.check(scenario)


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


def given_as(**arguments: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(arguments)


MONITORS = st.sampled_from(["valid_loss", "train_loss", "accuracy"])
# Of each group at most one takes part.
GROUPS: list[dict[str, st.SearchStrategy[dict[str, Any]]]] = [
    {"ema": given_as(decay=st.sampled_from([0.5, 0.99]), warm_up=st.booleans())},
    {"save_model": given_as(monitor=MONITORS, with_opt=st.booleans(), every=st.sampled_from(["improvement", "epoch"]))},
    {"early_stopping": given_as(monitor=MONITORS, patience=st.integers(0, 1), min_delta=st.sampled_from([0.0, 0.2]))},
    {"reduce_lr_on_plateau": given_as(min_delta=st.sampled_from([0.0, 0.5]), min_lr=st.just(1e-5))},
    {"csv_logger": given_as()},
    {"track_epoch": given_as()},
    {"mixup": given_as(alpha=st.sampled_from([0.4, 2.0])), "cutmix": given_as()},
    {
        "accumulate": given_as(n_step=st.integers(1, 3), drop_last=st.booleans()),
        "gradient_accumulation": given_as(n_acc=st.sampled_from([8, 14, 20])),
    },
    {"gradient_clipping": given_as(clip=st.sampled_from([0.1, 1.0]))},
    {
        "mixed_precision": given_as(
            loss_scale=st.sampled_from([None, 2.0**24]), max_noskip=st.integers(1, 3), clip=st.sampled_from([None, 0.5])
        )
    },
    {"bn_freeze": given_as()},
    {"over_sampling": given_as(), "under_sampling": given_as()},
    {"activation_stats": given_as()},
    {"terminate_on_nan": given_as()},
]
OF_A_STAGE: dict[str, st.SearchStrategy[dict[str, Any]]] = {
    "one_cycle": given_as(lr_max=st.just(0.03)),
    "flat_cos": given_as(lr=st.just(0.01), tot_epochs=st.integers(1, 2)),
    "stop_after_n_batches": given_as(n_batches=st.integers(1, 6)),
    "general_scheduler": given_as(
        phases=st.just(
            [
                {"length": 3, "hps": {"lr": {"vals": [0.001, 0.02]}}},
                {"length": 2, "hps": {"lr": {"vals": [0.02, 0.001]}, "mom": {"vals": [0.9, 0.8]}}},
            ]
        )
    ),
}
FITTING = st.sampled_from(
    [
        FIT,
        {**FIT, "epochs": 2, "lr": {"start": 1e-3, "stop": 1e-2}},
        ONE_CYCLE,
        {"kind": "fit_flat_cos", "epochs": 2, "lr": {"value": 0.01}},
        {"kind": "fit_sgdr", "n_cycles": 2, "cycle_len": 1, "lr_max": {"value": 0.02}},
    ]
)
BETWEEN = st.sampled_from(
    [
        [],
        [FREEZE],
        [{"kind": "freeze_to", "n": 0}],
        [{"kind": "freeze_to", "n": 1}, {"kind": "lr_find", "num_it": 6}],
        [{"kind": "lr_find", "num_it": 3}],
    ]
)
LEARNERS = given_as(
    opt_func=st.sampled_from(["adam", "sgd", "rmsprop"]),
    true_wd=st.booleans(),
    bn_wd=st.booleans(),
    train_bn=st.booleans(),
    loss=st.sampled_from(["cross_entropy", "label_smoothing", "focal"]),
    precision=st.sampled_from(["fp32", "fp32", "bf16"]),
)


@st.composite
def callbacks_of_a_learner(draw: st.DrawFn, most: int = 5) -> list[tuple[str, dict[str, Any]]]:
    chosen = draw(st.lists(st.sampled_from(range(len(GROUPS))), unique=True, max_size=most))
    names = [draw(st.sampled_from(sorted(GROUPS[index]))) for index in chosen]
    return [(name, draw(GROUPS[index][name])) for index, name in zip(chosen, names, strict=True)]


@st.composite
def fitting_stages(draw: st.DrawFn) -> dict[str, Any]:
    stage = draw(FITTING)
    if stage["kind"] != "fit" or draw(st.booleans()):
        return stage
    name = draw(st.sampled_from(sorted(OF_A_STAGE)))
    return {**stage, "callbacks": [{"name": name, "arguments": draw(OF_A_STAGE[name])}]}


@st.composite
def kills(draw: st.DrawFn, steps: int, most: int) -> list[tuple[str, int, int]]:
    """In the order in which a job comes to them, so that most of them happen."""
    when = sorted(draw(st.lists(st.integers(0, steps - 1), min_size=1, max_size=most)))
    return [_kill(draw, draw(PLACES), step) for step in when]


def _kill(draw: st.DrawFn, place: str, step: int) -> tuple[str, int, int]:
    return place, draw(st.integers(1, 8)) if place == "write" else step, 0


@st.composite
def scenarios(draw: st.DrawFn, max_kills: int = 2) -> Scenario:
    callbacks = draw(callbacks_of_a_learner())
    samples = any("sampling" in name for name, _ in callbacks)
    fits = draw(st.lists(fitting_stages(), min_size=1, max_size=2))
    stages = [stage for fit in fits for stage in (*draw(BETWEEN), fit)]
    epochs = sum(stage.get("epochs", 2) for stage in fits)
    return Scenario(
        stages,
        callbacks,
        draw(LEARNERS),
        "pictures" if samples else draw(st.sampled_from(["memory", "memory", "pictures"])),
        every_steps=draw(st.sampled_from([None, 1, 2, 3])),
        waits=draw(st.booleans()),
        kills=draw(kills(3 * epochs, max_kills)),
    )


NO_HEALTH_CHECKS = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]


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
@given(scenario=scenarios(), rank=st.integers(0, 1))
def test_any_callbacks_and_kills_of_either_of_two_ranks_end_as_without_kills(
    lab: Lab, scenario: Scenario, rank: int
) -> None:
    lab.check(replace(scenario, world_size=2, kills=[(place, step, rank) for place, step, _ in scenario.kills]))
