"""Learning rates per layer group, weight decay, and state by parameter name."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from support.memory_data import a_learner, tiny_model
from torch import nn

from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.layer_groups import split_model
from learnfleet.trainer.opt_funcs import OPT_FUNCS, SGD, Adam, OptFunc, OptFuncLike, as_opt_func, build_opt_func
from learnfleet.trainer.optimizer import LayerOptimizer, Lr, lr_range


@pytest.mark.parametrize(
    ("n_groups", "lr", "expected"),
    [
        (3, 1e-3, [1e-3, 1e-3, 1e-3]),
        (3, slice(3e-3), [3e-4, 3e-4, 3e-3]),
        (3, slice(1e-5, 1e-3), [1e-5, 1e-4, 1e-3]),
        (5, slice(1e-6, 1e-2), [1e-6, 1e-5, 1e-4, 1e-3, 1e-2]),
        (2, slice(1e-4, 1e-3), [1e-4, 1e-3]),
        (1, slice(3e-3), [3e-3]),
        (1, slice(1e-5, 1e-3), [1e-3]),
        (3, slice(0, 1e-3), [1e-4, 1e-4, 1e-3]),
        (3, [1.0, 2.0, 3.0], [1.0, 2.0, 3.0]),
        (3, [0.5], [0.5, 0.5, 0.5]),
        (3, np.array([1e-4, 1e-3, 1e-2]), [1e-4, 1e-3, 1e-2]),
        (2, np.float32(0.5), [0.5, 0.5]),
    ],
)
def test_f042_f043_lr_range_spreads_a_number_a_slice_or_a_list_over_the_groups(
    n_groups: int, lr: Lr, expected: list[float]
) -> None:
    assert lr_range(lr, n_groups) == pytest.approx(expected, rel=1e-9)


def test_f042_a_learner_tells_the_rates_of_its_layer_groups() -> None:
    learner = a_learner()
    learner.layer_groups = split_model(learner.model, list(learner.model.children())[-1:])
    assert learner.lr_range(slice(1e-4, 1e-3)) == pytest.approx([1e-4, 1e-3])


def test_f042_a_list_of_the_wrong_length_is_refused_with_both_lengths() -> None:
    with pytest.raises(ValueError, match="2 values for 3 layer groups"):
        lr_range([1e-3, 1e-2], 3)


def an_optimizer(
    model: nn.Sequential, func: OptFunc = Adam, *, true_wd: bool = True, bn_wd: bool = True
) -> LayerOptimizer:
    return LayerOptimizer(split_model(model, [model[1], model[2]]), func, true_wd=true_wd, bn_wd=bn_wd)


def test_f044_each_layer_group_gets_a_decaying_and_a_plain_param_group_at_its_rate() -> None:
    optimizer = an_optimizer(tiny_model())
    optimizer.set_lr(lr_range(slice(1e-4, 1e-2), 3))
    rates = [group["lr"] for group in optimizer.param_groups]
    assert rates == pytest.approx([1e-4, 1e-4, 1e-3, 1e-3, 1e-2, 1e-2], rel=1e-9)
    assert [len(group["params"]) for group in optimizer.param_groups] == [1, 3, 1, 2, 1, 1]


@pytest.mark.parametrize(("true_wd", "expected"), [(True, 0.899000002), (False, 0.900000002)])
def test_f045_the_first_adam_step_decays_the_weight_apart_from_the_gradient_under_true_wd(
    true_wd: bool, expected: float
) -> None:
    model = nn.Linear(1, 1, bias=False)
    nn.init.ones_(model.weight)
    optimizer = LayerOptimizer(split_model(model), true_wd=true_wd)
    optimizer.set_lr(0.1)
    optimizer.set_wd(0.01)
    model.weight.grad = torch.full_like(model.weight, 0.5)
    optimizer.step()
    assert model.weight.item() == pytest.approx(expected, rel=1e-6)


def test_f045_decoupled_decay_of_sgd_shrinks_the_weight_before_the_step() -> None:
    model = nn.Linear(1, 1, bias=False)
    nn.init.ones_(model.weight)
    optimizer = LayerOptimizer(split_model(model), SGD)
    optimizer.set_lr(0.1)
    optimizer.set_wd(0.5)
    model.weight.grad = torch.full_like(model.weight, 2.0)
    optimizer.step()
    assert model.weight.item() == pytest.approx(1 * (1 - 0.05) - 0.2, rel=1e-6)


def test_f045_without_bn_wd_biases_and_batchnorm_are_not_decayed() -> None:
    optimizer = an_optimizer(tiny_model(), bn_wd=False)
    optimizer.set_wd(0.1)
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.1, 0.0] * 3


def _train(model: nn.Sequential, optimizer: LayerOptimizer, steps: int) -> None:
    generator = torch.Generator().manual_seed(0)
    for _ in range(steps):
        model(torch.randn(4, 3, 8, 8, generator=generator)).square().mean().backward()
        optimizer.step()
        optimizer.zero_grad()


@pytest.mark.parametrize("func", OPT_FUNCS.values(), ids=OPT_FUNCS)
def test_state_saved_by_name_continues_to_the_same_bits(func: OptFunc) -> None:
    model, copy = tiny_model(dropout=0), tiny_model(dropout=0)
    optimizer, restored = an_optimizer(model, func), an_optimizer(copy, func)
    for item in (optimizer, restored):
        item.set_lr(1e-2)
        item.set_mom(0.8)
    _train(model, optimizer, 3)
    copy.load_state_dict(model.state_dict())
    restored.load_tensors({name: value.clone() for name, value in optimizer.tensors().items()})
    restored.load_hyper_parameters(optimizer.hyper_parameters())
    _train(model, optimizer, 2)
    _train(copy, restored, 2)
    assert all(torch.equal(a, b) for a, b in zip(model.state_dict().values(), copy.state_dict().values(), strict=True))


def test_state_of_other_parameters_is_refused_by_name() -> None:
    model = tiny_model()
    with pytest.raises(ValueError, match=r"9\.weight"):
        an_optimizer(model).load_tensors({"exp_avg/9.weight": torch.zeros(1)})


def test_frozen_parameters_are_not_in_the_optimizer() -> None:
    model = tiny_model()
    model[0].requires_grad_(False)
    assert [len(group["params"]) for group in an_optimizer(model).param_groups] == [0, 0, 1, 2, 1, 1]


def test_f044_hyper_parameters_read_the_last_group_and_take_one_value_or_one_a_group() -> None:
    optimizer = an_optimizer(tiny_model())
    optimizer.lr, optimizer.mom, optimizer.beta, optimizer.wd = [1, 2, 3], 0.8, [0.7, 0.8, 0.9], [0.1, 0.2, 0.3]  # type: ignore[assignment]
    assert (optimizer.lr, optimizer.mom, optimizer.beta, optimizer.wd) == (3, 0.8, 0.9, 0.3)
    assert [group["betas"] for group in optimizer.param_groups[::2]] == [(0.8, 0.7), (0.8, 0.8), (0.8, 0.9)]
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.1, 0.1, 0.2, 0.2, 0.3, 0.3]
    optimizer.set_stat("eps", [1e-5, 1e-6, 1e-7])
    assert optimizer.get_stat("eps") == 1e-7
    assert optimizer.hyper_parameters()["eps"] == [1e-5, 1e-6, 1e-7]
    with pytest.raises(LearnerError, match="2 values for 3 layer groups"):
        optimizer.lr = [1, 2]  # type: ignore[assignment]
    with pytest.raises(LearnerError, match="has no 'dampening'; known: lr, wd, mom, beta, eps"):
        optimizer.get_stat("dampening")


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ("rmsprop", ["lr", "wd", "mom", "beta", "eps"]),
        ("sgd", ["lr", "wd", "mom", "dampening"]),
        ("adadelta", ["lr", "wd", "rho", "eps"]),
        (partial(torch.optim.SGD, momentum=0.9, nesterov=True), ["lr", "wd", "mom", "dampening"]),
    ],
)
def test_hyper_parameters_are_those_the_optimizer_has(given: OptFuncLike, names: list[str]) -> None:
    optimizer = an_optimizer(tiny_model(), as_opt_func(given))
    assert optimizer.stat_names() == names
    optimizer.set_mom(0.5)  # nothing where there is none
    assert optimizer.mom == (0.5 if "mom" in names else 0.0)


@pytest.mark.parametrize(
    "given",
    [torch.optim.AdamW, torch.optim.RAdam, torch.optim.ASGD, torch.optim.Rprop, partial(torch.optim.SGD, momentum=0.9)],
)
def test_any_class_of_torch_is_an_optimizer_and_its_state_goes_on_to_the_same_bits(given: OptFuncLike) -> None:
    func = as_opt_func(given)
    model, copy = tiny_model(dropout=0), tiny_model(dropout=0)
    optimizer, restored = an_optimizer(model, func), an_optimizer(copy, func)
    for item in (optimizer, restored):
        item.lr, item.wd = 1e-2, 0.1
    _train(model, optimizer, 3)
    copy.load_state_dict(model.state_dict())
    restored.load_tensors({name: value.clone() for name, value in optimizer.tensors().items()})
    restored.load_hyper_parameters(optimizer.hyper_parameters())
    _train(model, optimizer, 2)
    _train(copy, restored, 2)
    assert all(torch.equal(a, b) for a, b in zip(model.state_dict().values(), copy.state_dict().values(), strict=True))


class Counting(torch.optim.Optimizer):
    """Keeps plain numbers in its state, and stops when they say so."""

    def __init__(self, params: Any, lr: float = 0.1) -> None:
        super().__init__(params, {"lr": lr})

    def step(self, closure: None = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            for parameter in group["params"]:
                count = self.state[parameter].get("count", 0)
                self.state[parameter]["count"] = count + 1
                parameter.data.add_(parameter.grad, alpha=-group["lr"] * count)


def test_plain_numbers_in_the_state_are_saved_and_come_back_as_numbers() -> None:
    model = tiny_model(dropout=0)
    optimizer = an_optimizer(model, as_opt_func(Counting))
    _train(model, optimizer, 3)
    restored = an_optimizer(tiny_model(), as_opt_func(Counting))
    restored.load_tensors(optimizer.tensors())
    assert [state["count"] for state in restored.inner.state.values()] == [3] * 9
    optimizer.clear()
    assert optimizer.tensors() == {}


def test_f045_l2_decay_needs_an_optimizer_that_knows_it() -> None:
    optimizer = an_optimizer(tiny_model(), as_opt_func(Counting), true_wd=False)
    optimizer.set_wd(0.0)
    with pytest.raises(LearnerError, match="Counting has no weight decay of its own"):
        optimizer.set_wd(0.1)
    an_optimizer(tiny_model(), as_opt_func(Counting)).set_wd(0.1)


def test_what_is_no_optimizer_for_this_loop_is_refused() -> None:
    with pytest.raises(LearnerError, match="LBFGS evaluates the loss several times"):
        as_opt_func(torch.optim.LBFGS)
    with pytest.raises(LearnerError, match="'adamw' is unknown; known: adadelta, adagrad, adam"):
        as_opt_func("adamw")
    with pytest.raises(LearnerError, match="no argument 'beta'; known: beta1, beta2, eps, amsgrad"):
        build_opt_func("adam", {"beta": 0.9})
    with pytest.raises(LearnerError, match="does not take these parameters"):
        an_optimizer(tiny_model(), as_opt_func(partial(torch.optim.SGD, momentum=-1)))


def test_a_named_optimizer_takes_its_arguments() -> None:
    optimizer = an_optimizer(tiny_model(), build_opt_func("sgd", {"momentum": 0.9, "nesterov": True}))
    assert (optimizer.mom, optimizer.param_groups[0]["nesterov"]) == (0.9, True)
    assert build_opt_func("adam").arguments == {}
    assert as_opt_func(torch.optim.Adam).arguments is None
