"""A job that goes on with another number of ranks: the same items in the same order, and all but the last bits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from support.any_job import FIT, FREEZE, ONE_CYCLE
from support.resume_lab import Lab, Scenario

# 30 pictures in batches of 7: 4 steps an epoch. Neither two ranks nor three share a batch evenly.
PLAIN = Scenario([ONE_CYCLE, FREEZE, FIT], learner={"plain": True}, world_size=2, notes_order=True, waits=True)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with Lab(tmp_path_factory.mktemp("lab")) as lab:
        yield lab


def losses(found: dict[str, Any]) -> list[float]:
    """Training and validation loss of each epoch."""
    epochs = sorted((name, data) for name, data in found["events"].items() if name.startswith("epoch/"))
    return [value for _, data in epochs for value in data["values"][1:3]]


@pytest.mark.parametrize("worlds", [[2, 1], [2, 3], [2, 3, 1]], ids=str)
def test_a_job_of_two_killed_ranks_goes_on_with_fewer_or_more(lab: Lab, worlds: list[int]) -> None:
    kills = [("on_backward_end", 3, 1), ("on_batch_end", 6, 0)][: len(worlds) - 1]
    whole, resumed = lab.whole(PLAIN), lab.run(replace(PLAIN, kills=kills, worlds=worlds))
    assert resumed["attempts"] == len(worlds)
    assert len(resumed["ranks"]) == worlds[-1]
    assert resumed["order"] == whole["order"]
    assert all(len(items) == 7 for items in resumed["order"].values())
    assert losses(resumed) == pytest.approx(losses(whole), rel=1e-4)
    assert [rank["exact"] for rank in resumed["ranks"]] == [False] * worlds[-1]
    for rank in resumed["ranks"]:
        assert rank["metrics"] == pytest.approx(whole["ranks"][0]["metrics"], rel=1e-4)


def test_what_callbacks_keep_is_carried_over_to_another_number_of_ranks(lab: Lab) -> None:
    callbacks: list[tuple[str, dict[str, Any]]] = [
        ("ema", {"decay": 0.7}),
        ("accumulate", {"n_step": 2}),
        ("mixup", {}),
    ]
    scenario = replace(PLAIN, callbacks=callbacks, kills=[("on_batch_end", 5, 1)], worlds=[2, 3])
    resumed, whole = lab.run(scenario), lab.whole(replace(scenario, worlds=[]))
    assert resumed["order"] == whole["order"]
    assert resumed["attempts"] == 2


def test_a_pass_through_another_size_and_back_is_not_called_exact(lab: Lab) -> None:
    kills = [("on_backward_end", 3, 0), ("on_backward_end", 6, 0)]
    resumed = lab.run(replace(PLAIN, kills=kills, worlds=[2, 1, 2]))
    assert [rank["exact"] for rank in resumed["ranks"]] == [False, False]
