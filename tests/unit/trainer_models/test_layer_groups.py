"""Layer groups: splitting, freezing, a learning rate each."""

from __future__ import annotations

from typing import Literal

import pytest
import torch
from support.memory_data import MemoryData, tiny_model
from torch import nn

from learnfleet.trainer.architecture_info import describe_body
from learnfleet.trainer.bodies import build_body
from learnfleet.trainer.cnn import family_split
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.layer_groups import LayerGroup, boundaries_named, boundary_names, split_model
from learnfleet.trainer.learner import Learner
from learnfleet.trainer.model_build import build_model
from learnfleet.trainer.spec import DataSpec, LearnerSpec


def names(groups: tuple[LayerGroup, ...]) -> list[list[str]]:
    return [[name for name, _ in group.modules] for group in groups]


def three_groups(train_bn: bool = True) -> Learner:
    model = tiny_model()
    learner = Learner(MemoryData(), model, silent=True, train_bn=train_bn)
    learner.split([model[1], model[2]])
    return learner


def test_f035_n_boundaries_give_n_plus_one_groups() -> None:
    model = tiny_model()
    groups = [["0.0", "0.1"], ["1.0", "1.1"], ["2.3"]]
    assert names(split_model(model, [model[1], model[2]])) == groups
    assert names(split_model(model, lambda m: [m[1], m[2]])) == groups
    assert names(split_model(model, [model[0], model[1], model[2]])) == groups  # nothing is before the first
    assert names(split_model(model, model[2])) == [[*groups[0], *groups[1]], groups[2]]
    assert names(split_model(model)) == [["0.0", "0.1", "1.0", "1.1", "2.3"]]


def test_f035_a_list_of_lists_is_the_groups_themselves_in_any_order() -> None:
    model = tiny_model()
    groups = split_model(model, [[model[1]], [model[0], model[2]]])
    assert names(groups) == [["1.0", "1.1"], ["0.0", "0.1", "2.3"]]
    assert names(split_model(model, lambda m: [[m[0], m[1]], m[2]])) == [["0.0", "0.1", "1.0", "1.1"], ["2.3"]]


def test_f035_lists_that_leave_something_out_or_take_it_twice_are_refused() -> None:
    model = tiny_model()
    with pytest.raises(ValueError, match=r"leaves out 2 module\(s\) with parameters: 1.0, 1.1"):
        split_model(model, [[model[0]], [model[2]]])
    with pytest.raises(ValueError, match="a Conv2d in list 0 and in list 1"):
        split_model(model, [[model[0]], [model[0][0], model[1], model[2]]])


def test_f035_a_module_of_another_model_is_refused() -> None:
    with pytest.raises(ValueError, match="not in the model"):
        split_model(nn.Linear(1, 1), [nn.Linear(1, 1)])


def test_boundaries_can_be_told_by_names() -> None:
    model = tiny_model()
    found = boundary_names(model, lambda m: [m[1], m[2]])
    assert found == ("1", "2")
    assert boundaries_named(found)(model) == [model[1], model[2]]
    assert boundary_names(model, [[model[0]], [model[1], model[2]]]) is None
    with pytest.raises(ValueError, match="no module 9; names are as in 0, "):
        boundaries_named(["9"])(model)


def test_parameters_outside_of_leaf_modules_belong_to_a_group_too() -> None:
    with torch.device("meta"):
        body = build_body("convnext_tiny").module  # its layer scales are parameters of the blocks themselves
    grouped = sum(item.parameter.numel() for group in split_model(body) for item in group.parameters())
    assert grouped == sum(parameter.numel() for parameter in body.parameters())


def trainable(learner: Learner) -> list[str]:
    return [name for name, parameter in learner.model.named_parameters() if parameter.requires_grad]


def test_f039_freezing_leaves_the_last_group_and_batchnorm_trainable() -> None:
    learner = three_groups()
    norms = ["0.1.weight", "0.1.bias", "1.1.weight", "1.1.bias"]
    learner.freeze()
    assert trainable(learner) == [*norms, "2.3.weight", "2.3.bias"]
    learner.freeze_to(1)
    assert trainable(learner) == [*norms[:2], "1.0.weight", *norms[2:], "2.3.weight", "2.3.bias"]
    learner.unfreeze()
    assert len(trainable(learner)) == len(list(learner.model.parameters()))


def test_f039_a_depth_that_is_not_there_is_refused_and_names_those_that_are() -> None:
    with pytest.raises(LearnerError, match="3 is not possible with 3 layer groups; give -3 to 2"):
        three_groups().freeze_to(3)


def test_f039_freezing_makes_a_new_optimiser_and_resets_a_model_with_a_state() -> None:
    learner = three_groups()
    learner.fit(1)
    calls: list[str] = []
    learner.model.reset = lambda: calls.append("reset")  # type: ignore[assignment]
    learner.freeze()
    assert learner.opt is None
    assert calls == ["reset"]


def test_f040_train_bn_keeps_batchnorm_trainable_in_frozen_groups_and_its_statistics_moving() -> None:
    for train_bn in (True, False):
        learner = three_groups(train_bn)
        learner.freeze()
        norm = learner.model[0][1]
        assert norm.weight.requires_grad is train_bn
        before = (norm.weight.clone(), norm.running_mean.clone())
        learner.fit(1, 0.1)
        assert torch.equal(norm.weight, before[0]) is not train_bn
        assert torch.equal(norm.running_mean, before[1]) is not train_bn


def test_f041_one_group_cannot_be_frozen() -> None:
    with pytest.raises(LearnerError, match="one layer group, so nothing would be trained"):
        Learner(MemoryData(), nn.Linear(1, 1), silent=True).freeze()


def test_f044_each_group_has_its_learning_rate_for_weights_and_for_norms_and_biases() -> None:
    learner = three_groups()
    learner.fit(1, slice(1e-4, 1e-2))
    opt = learner.require_optimizer()
    assert [group["lr"] for group in opt.param_groups] == pytest.approx([1e-4, 1e-4, 1e-3, 1e-3, 1e-2, 1e-2])
    assert [len(group["params"]) for group in opt.param_groups] == [1, 3, 1, 2, 1, 1]


def test_f044_steps_of_a_group_are_as_large_as_its_rate() -> None:
    learner = three_groups()
    before = [parameter.clone() for parameter in (learner.model[0][0].weight, learner.model[2][3].weight)]
    learner.wd = 0.0
    learner.fit(1, [0.0, 1e-3, 1e-2])
    after = [learner.model[0][0].weight, learner.model[2][3].weight]
    assert torch.equal(before[0], after[0])
    assert not torch.equal(before[1], after[1])


@pytest.mark.parametrize(("architecture", "groups"), [("resnet18", 3), ("squeezenet1_1", 4)])
@pytest.mark.parametrize("kind", ["cnn", "unet"])
def test_the_number_of_groups_is_known_before_the_learner_is_built(
    architecture: str, groups: int, kind: Literal["cnn", "unet"]
) -> None:
    spec = LearnerSpec(DataSpec("anywhere"), architecture, kind=kind)
    body = build_body(architecture)
    model = build_model(spec, 2, body)
    assert len(split_model(model, family_split(body, model))) == groups
    assert describe_body(architecture).layer_groups == groups


def test_a_cut_before_the_familys_boundary_leaves_fewer_groups() -> None:
    assert describe_body("resnet18", cut=5).layer_groups == 2
