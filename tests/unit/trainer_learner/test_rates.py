"""Learning rates, weight decay and optimisers as a learner and its fits are given them."""

from __future__ import annotations

import inspect
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from support.memory_data import a_learner, first_group

from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.learner import Learner
from learnfleet.trainer.opt_funcs import Adam
from learnfleet.trainer.optimizer import Lr


def test_f042_a_fit_takes_a_rate_in_every_form() -> None:
    found = []
    for lr in (0.1, slice(0.1), slice(1e-3, 0.1), [0.1, 0.2, 0.3], np.array([0.1, 0.2, 0.3])):
        learner = a_learner()
        learner.fit(1, lr)
        found.append([group["lr"] for group in learner.require_optimizer().param_groups[::2]])
    assert found[0] == [0.1] * 3
    assert found[1] == pytest.approx([0.01, 0.01, 0.1])
    assert found[2] == pytest.approx([1e-3, 1e-2, 0.1])
    assert found[3] == found[4] == [0.1, 0.2, 0.3]


@pytest.mark.parametrize(
    "lr", [-1e-3, float("nan"), float("inf"), slice(-1e-3, 1e-3), slice(-1e-3), [1e-3, -1e-3, 0.1]]
)
def test_f042_rates_below_0_or_that_are_no_number_are_refused(lr: Lr) -> None:
    with pytest.raises(LearnerError, match=r"lr: .* is not possible: rates are 0 or more"):
        a_learner().fit(1, lr)


@pytest.mark.parametrize("lr", [None, "fast", [None], {"a": 1}])
def test_f042_what_is_no_rate_is_named(lr: Any) -> None:
    with pytest.raises(LearnerError, match="is no number, and no list of one a layer group"):
        a_learner().fit(1, lr)


def test_f042_a_rate_may_be_0_a_tensor_or_a_list_of_one() -> None:
    learner = a_learner()
    before = [value.clone() for value in learner.model.parameters()]
    learner.fit(1, 0, wd=0)
    assert all(torch.equal(a, b) for a, b in zip(before, learner.model.parameters(), strict=True))
    for lr in (torch.tensor(0.25), (0.25,), [0.25], np.array([0.25]), np.array(0.25)):
        learner.fit(1, lr)  # type: ignore[arg-type]
        assert [group["lr"] for group in learner.require_optimizer().param_groups] == [0.25] * 6


def test_f044_create_opt_takes_rates_and_decay() -> None:
    optimizer = a_learner(wd=0.3).create_opt(slice(1e-4, 1e-2), 0.1)
    assert optimizer.hyper_parameters()["lr"] == pytest.approx([1e-4, 1e-3, 1e-2])
    assert optimizer.wd == 0.1
    assert a_learner(wd=0.3).create_opt().wd == 0.3


def test_f038_another_opt_func_may_be_set_later_in_any_form() -> None:
    learner = a_learner()
    for given, kind in ((torch.optim.SGD, torch.optim.SGD), ("rmsprop", torch.optim.RMSprop)):
        learner.opt_func = given
        learner.create_opt()
        learner.fit(1)
        assert isinstance(learner.require_optimizer().inner, kind)
    with pytest.raises(LearnerError, match="'adamw' is unknown"):
        learner.opt_func = "adamw"


def test_f043_a_slice_with_one_layer_group_is_its_stop() -> None:
    learner = a_learner(layer_groups=None)
    learner.fit(1, slice(1e-5, 1e-3))
    assert learner.require_optimizer().lr == pytest.approx(1e-3)


def test_f046_weight_decay_is_of_one_fit_and_one_value_a_group_if_wanted() -> None:
    learner = a_learner(wd=0.3)
    learner.fit(1, wd=[0.1, 0.2, 0.4])
    assert learner.require_optimizer().hyper_parameters()["wd"] == [0.1, 0.2, 0.4]
    learner.fit(1, wd=0.0)
    assert first_group(learner)["weight_decay"] == 0.0
    learner.fit_one_cycle(1)
    assert learner.require_optimizer().hyper_parameters()["wd"] == [0.3] * 3


def test_f045_l2_decay_goes_through_the_optimizers_own_gradient() -> None:
    learner = a_learner(opt_func=partial(torch.optim.SGD, momentum=0.9), true_wd=False)
    learner.fit(1, 0.0, wd=0.25)
    assert first_group(learner)["weight_decay"] == 0.25
    decoupled = a_learner(opt_func=partial(torch.optim.SGD, momentum=0.9))
    decoupled.fit(1, 0.0, wd=0.25)
    assert (first_group(decoupled)["weight_decay"], first_group(decoupled)["decay"]) == (0.0, 0.25)


def test_f038_a_learners_fields_have_fastais_order_and_defaults() -> None:
    parameters = inspect.signature(Learner).parameters
    names = ["data", "model", "opt_func", "loss_func", "metrics", "true_wd", "bn_wd", "wd", "train_bn", "path"]
    assert list(parameters)[:10] == names
    assert list(parameters)[10:16] == ["model_dir", "callback_fns", "callbacks", "layer_groups", "add_time", "silent"]
    defaults = {name: item.default for name, item in parameters.items()}
    assert (defaults["true_wd"], defaults["bn_wd"], defaults["wd"], defaults["train_bn"]) == (True, True, 1e-2, True)
    assert (defaults["model_dir"], defaults["add_time"], defaults["path"]) == ("models", True, None)
    learner = a_learner(opt_func="adam")
    optimizer = learner.create_opt()
    assert (optimizer.mom, optimizer.beta, learner.opt_func is Adam) == (0.9, 0.99, True)
    assert learner.path == learner.data.path
