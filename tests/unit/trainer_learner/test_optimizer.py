"""Learning rates per layer group, weight decay, and state by parameter name."""

from __future__ import annotations

import pytest
import torch
from support.memory_data import tiny_model
from torch import nn

from learnfleet.trainer.layer_groups import split_model
from learnfleet.trainer.opt_funcs import SGD, Adam, OptFunc
from learnfleet.trainer.optimizer import LayerOptimizer, lr_range


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
    ],
)
def test_lr_range_spreads_a_number_a_slice_or_a_list_over_the_groups(
    n_groups: int, lr: float | slice | list[float], expected: list[float]
) -> None:
    assert lr_range(lr, n_groups) == pytest.approx(expected, rel=1e-9)


def test_a_list_of_the_wrong_length_is_refused_with_both_lengths() -> None:
    with pytest.raises(ValueError, match="2 values for 3 layer groups"):
        lr_range([1e-3, 1e-2], 3)


def an_optimizer(
    model: nn.Sequential, func: OptFunc = Adam, *, true_wd: bool = True, bn_wd: bool = True
) -> LayerOptimizer:
    return LayerOptimizer(split_model(model, [model[1], model[2]]), func, true_wd=true_wd, bn_wd=bn_wd)


def test_each_layer_group_gets_a_decaying_and_a_plain_param_group_at_its_rate() -> None:
    optimizer = an_optimizer(tiny_model())
    optimizer.set_lr(lr_range(slice(1e-4, 1e-2), 3))
    rates = [group["lr"] for group in optimizer.param_groups]
    assert rates == pytest.approx([1e-4, 1e-4, 1e-3, 1e-3, 1e-2, 1e-2], rel=1e-9)
    assert [len(group["params"]) for group in optimizer.param_groups] == [1, 3, 1, 2, 1, 1]


@pytest.mark.parametrize(("true_wd", "expected"), [(True, 0.899000002), (False, 0.900000002)])
def test_the_first_adam_step_decays_the_weight_apart_from_the_gradient_under_true_wd(
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


def test_decoupled_decay_of_sgd_shrinks_the_weight_before_the_step() -> None:
    model = nn.Linear(1, 1, bias=False)
    nn.init.ones_(model.weight)
    optimizer = LayerOptimizer(split_model(model), SGD)
    optimizer.set_lr(0.1)
    optimizer.set_wd(0.5)
    model.weight.grad = torch.full_like(model.weight, 2.0)
    optimizer.step()
    assert model.weight.item() == pytest.approx(1 * (1 - 0.05) - 0.2, rel=1e-6)


def test_without_bn_wd_biases_and_batchnorm_are_not_decayed() -> None:
    optimizer = an_optimizer(tiny_model(), bn_wd=False)
    optimizer.set_wd(0.1)
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.1, 0.0] * 3


def _train(model: nn.Sequential, optimizer: LayerOptimizer, steps: int) -> None:
    generator = torch.Generator().manual_seed(0)
    for _ in range(steps):
        model(torch.randn(4, 3, 8, 8, generator=generator)).square().mean().backward()
        optimizer.step()
        optimizer.zero_grad()


@pytest.mark.parametrize("func", [Adam, SGD])
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
