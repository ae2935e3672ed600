"""Arguments of networks and learners that are odd but legal, and what is said of those that are neither."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
import torch
from support.memory_data import MemoryData, tiny_model
from support.unets import blocks, small_encoder
from torch import nn

from learnfleet.trainer.bodies import create_body
from learnfleet.trainer.cnn import cnn_learner
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.head import create_head
from learnfleet.trainer.layer_groups import split_model
from learnfleet.trainer.learner import Learner
from learnfleet.trainer.unet import DynamicUnet
from learnfleet.trainer.unet_blocks import SelfAttention


def tiny(pretrained: bool) -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.AdaptiveAvgPool2d(1), nn.Flatten())


def a_learner(**options: Any) -> Learner:
    return cnn_learner(MemoryData(), tiny, **{"pretrained": False, "silent": True, **options})


def dropouts(head: nn.Module) -> list[float]:
    return [layer.p for layer in head.modules() if isinstance(layer, nn.Dropout)]


@pytest.mark.parametrize("pretrained", [0, None, np.False_])
def test_f023_any_value_that_is_false_means_no_weights(pretrained: Any) -> None:
    assert a_learner(pretrained=pretrained).frozen_to == 0
    assert a_learner(pretrained=1).frozen_to == 1


def test_f023_what_is_no_architecture_is_refused_by_name() -> None:
    for wrong in (None, 18):
        with pytest.raises(LearnerError, match=rf"architecture: {wrong} is neither a name, nor a function"):
            cnn_learner(MemoryData(), wrong, pretrained=False)  # type: ignore[arg-type]


def test_f026_a_cut_may_be_a_whole_number_of_numpys_and_no_truth_value() -> None:
    assert len(create_body(tiny, False, np.int64(-2))) == 2  # type: ignore[arg-type]
    for wrong in (True, 2.0, "-2"):
        with pytest.raises(TypeError, match="cut must be an int or a function of the model, not"):
            create_body(tiny, False, wrong)  # type: ignore[arg-type]


O27_CUSTOM = [
    "AdaptiveAvgPool2d(output_size=1)",
    "Flatten(start_dim=1, end_dim=-1)",
    *(
        "BatchNorm1d(1024",
        "Dropout(p=0.1",
        "Linear(in_features=1024, out_features=256, bias=True",
        "ReLU(inplace=True)",
    ),
    *("BatchNorm1d(256", "Dropout(p=0.2", "Linear(in_features=256, out_features=128, bias=True", "ReLU(inplace=True)"),
    *("BatchNorm1d(128", "Dropout(p=0.3", "Linear(in_features=128, out_features=10, bias=True"),
    "BatchNorm1d(10, eps=1e-05, momentum=0.01, affine=True",
]


def test_f030_f031_f032_a_head_of_ones_own_has_the_layers_of_oracle_o27_in_their_order() -> None:
    head = create_head(1024, 10, [256, 128], [0.1, 0.2, 0.3], False, True)
    assert len(head) == len(O27_CUSTOM)
    assert all(repr(layer).startswith(begin) for layer, begin in zip(head, O27_CUSTOM, strict=True))
    assert {layer.momentum for layer in head[:-1] if isinstance(layer, nn.BatchNorm1d)} == {0.1}


def test_f030_dropouts_may_be_numbers_of_any_library_and_widths_are_a_list() -> None:
    assert dropouts(create_head(8, 2, ps=np.float32(0.5))) == [0.25, 0.5]  # type: ignore[arg-type]
    assert dropouts(create_head(8, 2, ps=np.array([0.125, 0.5]))) == [0.125, 0.5]  # type: ignore[arg-type]
    assert dropouts(create_head(8, 2, ps=1)) == [0.5, 1.0]
    with pytest.raises(ValueError, match=r"lin_ftrs: 256 is one width; give a list, \[256\]"):
        create_head(8, 2, 256)  # type: ignore[arg-type]


def test_f030_a_custom_head_without_layers_is_a_head_and_not_none() -> None:
    learner = a_learner(custom_head=nn.Sequential())
    assert len(learner.model[1]) == 0
    assert learner.model(torch.zeros(2, 3, 8, 8)).shape == (2, 4, 8, 8)


def test_f035_one_module_is_one_boundary_even_if_it_is_a_row_of_others() -> None:
    model = nn.Sequential(nn.Linear(1, 1), nn.Sequential(nn.Linear(1, 1), nn.Linear(1, 1)))
    for split_on in (model[1], lambda m: m[1], lambda m: [m[1]], lambda m: (m[1],)):
        assert [len(group.modules) for group in split_model(model, split_on)] == [1, 2]


@pytest.mark.parametrize("split_on", ["head", 2, lambda m: 2])
def test_f035_what_is_no_module_nor_a_list_is_refused(split_on: Any) -> None:
    with pytest.raises(ValueError, match="is neither a module, nor a list of modules"):
        split_model(nn.Linear(1, 1), split_on)


def test_f037_options_that_can_have_no_effect_say_so() -> None:
    with pytest.warns(UserWarning, match="bottle has no effect"):
        DynamicUnet(small_encoder(), 2, last_cross=False, bottle=True)
    two_steps = nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.Conv2d(4, 8, 3, 2, 1), nn.Conv2d(8, 8, 3, 2, 1))
    with pytest.warns(UserWarning, match="self_attention has no effect: it needs 3 blocks, and there are 2"):
        unet = DynamicUnet(two_steps, 2, self_attention=True)
    assert len(blocks(unet)) == 2
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        whole = DynamicUnet(small_encoder(), 2, self_attention=True, bottle=True)
    assert any(isinstance(part, SelfAttention) for part in whole.modules())


def test_f039_a_depth_is_a_whole_number() -> None:
    with pytest.raises(LearnerError, match=r"freeze_to: 1\.5 is not possible with 2 layer groups; give -2 to 1"):
        a_learner().freeze_to(1.5)  # type: ignore[arg-type]
    learner = a_learner()
    learner.freeze_to(-2)
    assert learner.frozen_to == 0
    learner.freeze_to(np.int64(1))  # type: ignore[arg-type]
    assert learner.frozen_to == 1


def test_f037_a_range_of_scores_is_two_numbers_the_lower_first() -> None:
    for wrong in (3, (0.0, 1.0, 2.0), (1.0, 1.0)):
        with pytest.raises(LearnerError, match=r"y_range: .* is not \(low, high\)"):
            DynamicUnet(small_encoder(), 2, y_range=wrong)  # type: ignore[arg-type]
    assert DynamicUnet(small_encoder(), 2, y_range=np.array([0.0, 1.0]))(torch.zeros(1, 3, 16, 16)).max() <= 1  # type: ignore[arg-type]


def test_f038_layer_groups_may_be_modules_as_in_fastai() -> None:
    model = tiny_model()
    learner = Learner(MemoryData(), model, layer_groups=[nn.Sequential(model[0], model[1]), model[2]], silent=True)
    assert [[name for name, _ in group.modules] for group in learner.layer_groups] == [
        *(["0.0", "0.1", "1.0", "1.1"], ["2.3"])
    ]
    learner.fit(1, slice(1e-4, 1e-3))
    assert [group["lr"] for group in learner.require_optimizer().param_groups] == [1e-4, 1e-4, 1e-3, 1e-3]
    with pytest.raises(ValueError, match=r"leaves out 4 module\(s\)"):
        Learner(MemoryData(), model, layer_groups=[model[2]], silent=True)


def test_f038_a_loss_that_cannot_be_called_is_refused_when_it_is_given() -> None:
    with pytest.raises(LearnerError, match="loss_func: 'mse' is no function of"):
        Learner(MemoryData(), tiny_model(), loss_func="mse")  # type: ignore[arg-type]


def test_f045_a_decay_below_0_which_would_let_weights_grow_is_refused() -> None:
    for wrong in (-0.1, [0.1, -0.1], float("nan")):
        with pytest.raises(LearnerError, match=r"wd: .* is not possible: rates are 0 or more"):
            a_learner(wd=wrong).fit(1)
