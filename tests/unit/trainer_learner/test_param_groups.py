"""Parameter groups that are alike are stepped as one, and nobody can tell but by the clock."""

from __future__ import annotations

import copy

import pytest
import torch
from support.memory_data import tiny_model
from torch import nn

from learnfleet.trainer.layer_groups import split_model
from learnfleet.trainer.opt_funcs import OPT_FUNCS, OptFunc
from learnfleet.trainer.optimizer import LayerOptimizer, Lr, lr_range


def stepped(func: OptFunc, lr: Lr, *, bn_wd: bool, apart: bool) -> dict[str, torch.Tensor]:
    """A model's weights after three steps; `apart`: torch steps each of the groups by itself."""
    torch.manual_seed(0)
    model = tiny_model()
    optimizer = LayerOptimizer(split_model(model, [model[1], model[2]]), func, bn_wd=bn_wd)
    optimizer.set_lr(lr_range(lr, 3))
    optimizer.set_wd(0.1)
    if apart:
        for number, group in enumerate(optimizer.param_groups):
            group["number"] = number
    for _ in range(3):
        model(torch.randn(8, *shape_of(model))).square().sum().backward()
        optimizer.step()
        optimizer.zero_grad()
    return copy.deepcopy(model.state_dict())


def shape_of(model: nn.Module) -> tuple[int, ...]:
    return tuple(next(model.parameters()).shape[1:])


@pytest.mark.parametrize("name", sorted(OPT_FUNCS))
@pytest.mark.parametrize("lr", [1e-2, slice(1e-3, 1e-2)])
@pytest.mark.parametrize("bn_wd", [True, False])
def test_f044_groups_stepped_together_have_the_same_bits_as_groups_stepped_apart(
    name: str, lr: Lr, bn_wd: bool
) -> None:
    together = stepped(OPT_FUNCS[name], lr, bn_wd=bn_wd, apart=False)
    apart = stepped(OPT_FUNCS[name], lr, bn_wd=bn_wd, apart=True)
    assert all(torch.equal(together[key], apart[key]) for key in apart)


def test_f044_a_step_leaves_the_groups_as_they_were() -> None:
    model = tiny_model()
    optimizer = LayerOptimizer(split_model(model, [model[1], model[2]]))
    before = optimizer.param_groups
    optimizer.step()
    assert optimizer.param_groups is before
    assert len(before) == 6
