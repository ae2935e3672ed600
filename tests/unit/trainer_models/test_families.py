"""Every family of torchvision: cut, groups, a step of training."""

from __future__ import annotations

import pytest
import torch
from support.memory_data import MemoryData
from torch import nn

from learnfleet.trainer.bodies import build_body, cnn_config
from learnfleet.trainer.learner import Learner
from learnfleet.trainer.models import cnn_learner


def a_learner(name: str, c: int = 10) -> Learner:
    return cnn_learner(MemoryData(c=c), name, pretrained=False, silent=True)


def group_sizes(learner: Learner) -> list[int]:
    return [sum(item.parameter.numel() for item in group.parameters()) for group in learner.layer_groups]


@pytest.mark.parametrize(
    ("name", "channels", "n_groups", "side"),
    [
        ("resnet18", 512, 3, 32),
        ("resnext50_32x4d", 2048, 3, 32),
        ("wide_resnet50_2", 2048, 3, 32),
        ("squeezenet1_1", 512, 4, 32),
        ("densenet121", 1024, 3, 32),
        ("vgg11", 512, 3, 32),
        ("vgg11_bn", 512, 3, 32),
        ("alexnet", 256, 3, 64),
        ("mobilenet_v2", 1280, 3, 32),
        ("mobilenet_v3_large", 960, 3, 32),
        ("mobilenet_v3_small", 576, 3, 32),
        ("mnasnet0_5", 1280, 3, 32),
        ("shufflenet_v2_x0_5", 1024, 3, 32),
        ("efficientnet_b0", 1280, 3, 32),
        ("efficientnet_v2_s", 1280, 3, 32),
        ("convnext_tiny", 768, 3, 32),
        ("regnet_x_400mf", 400, 3, 32),
        ("regnet_y_400mf", 440, 3, 32),
        ("swin_t", 768, 3, 32),
        ("swin_v2_t", 768, 3, 32),
        ("vit_b_32", 768, 3, 64),
        ("googlenet", 1024, 3, 32),
        ("inception_v3", 2048, 3, 75),
        ("maxvit_t", 512, 3, 224),  # its windows are of a fixed number of pixels
    ],
)
def test_f024_each_family_is_cut_split_and_trained(name: str, channels: int, n_groups: int, side: int) -> None:
    learner = a_learner(name)
    assert len(learner.layer_groups) == n_groups
    assert learner.model[1][2].num_features == 2 * channels
    assert sum(group_sizes(learner)) == sum(parameter.numel() for parameter in learner.model.parameters())
    learner.freeze()
    assert all(parameter.requires_grad for parameter in learner.model[1].parameters())
    learner.unfreeze()
    scores = learner.model(torch.randn(2, 3, side, side))
    assert scores.shape == (2, 10)
    scores.square().sum().backward()
    first = next(learner.model.parameters())
    assert first.grad is not None
    assert first.grad.abs().sum() > 0


def test_f024_resnets_groups_hold_fastais_numbers_of_parameters() -> None:
    assert group_sizes(a_learner("resnet18")) == [683_072, 10_493_440, 533_002]
    assert group_sizes(a_learner("resnet50")) == [1_444_928, 22_063_104, 2_112_010]


@pytest.mark.parametrize(
    ("name", "second", "head"),
    [
        ("resnet18", "0.6", "1"),
        ("resnext50_32x4d", "0.6", "1"),
        ("densenet121", "0.0.transition2", "1"),
        ("vgg16_bn", "0.0.22", "1"),
        ("alexnet", "0.0.6", "1"),
        ("mobilenet_v2", "0.0.10", "1"),
    ],
)
def test_f024_the_second_group_begins_where_fastais_does(name: str, second: str, head: str) -> None:
    with torch.device("meta"):
        body = build_body(name)
        model = nn.Sequential(body.module, nn.Linear(1, 1))
    names = {id(module): name for name, module in model.named_modules()}
    boundaries = cnn_config(name)["split"]
    assert [names[id(module)] for module in [*body.boundaries(body.module), model[1]]] == [second, head]
    assert boundaries(model) == [*body.boundaries(body.module), model[1]]


def test_f024_squeezenet_has_fastais_four_groups() -> None:
    with torch.device("meta"):
        body = build_body("squeezenet1_1")
    features = body.module[0]
    assert body.boundaries(body.module) == [features[5], features[8]]


def test_f024_a_densenet_keeps_the_relu_that_fastai_lost() -> None:
    body = build_body("densenet121").module.eval()
    with torch.no_grad():
        assert body(torch.randn(1, 3, 64, 64)).min() >= 0
    assert next(iter(body.state_dict())) == "0.conv0.weight"  # named as in fastai


def test_f024_a_vit_takes_pictures_of_other_sizes_than_it_was_made_for() -> None:
    body = build_body("vit_b_32").module.eval()
    with torch.no_grad():
        assert body(torch.zeros(1, 3, 224, 224)).shape == (1, 768, 7, 7)
        assert body(torch.zeros(1, 3, 96, 64)).shape == (1, 768, 3, 2)


def test_f024_a_vits_map_holds_the_networks_own_patch_tokens() -> None:
    from learnfleet.trainer.architectures import build_network

    network = build_network("vit_b_32", pretrained=False).module.eval()
    body = build_body(network, cut=lambda _: build_body("vit_b_32").module).module
    body.load_state_dict({key: value for key, value in network.state_dict().items() if not key.startswith("heads")})
    x = torch.randn(1, 3, 224, 224)
    with torch.no_grad():
        tokens = network.encoder(torch.cat([network.class_token, network._process_input(x)], 1))
        assert torch.allclose(body.eval()(x).flatten(2).transpose(1, 2), tokens[:, 1:], atol=1e-5)


def test_f024_auxiliary_heads_are_left_out_and_the_statistics_are_those_that_the_weights_see() -> None:
    body = build_body("googlenet")
    assert not any("aux" in name for name in body.module.state_dict())
    assert body.pretrained_stats.mean == (0.5, 0.5, 0.5)


@pytest.mark.parametrize(
    ("name", "channels", "n_groups"),
    [
        *(("resnet34", 512, 3), ("resnet50", 2048, 3), ("resnet101", 2048, 3), ("resnet152", 2048, 3)),
        *(("squeezenet1_0", 512, 4), ("densenet169", 1664, 3), ("densenet201", 1920, 3), ("densenet161", 2208, 3)),
        *(("vgg13_bn", 512, 3), ("vgg16_bn", 512, 3), ("vgg19_bn", 512, 3), ("vgg16", 512, 3)),
        *(("efficientnet_b3", 1536, 3), ("convnext_base", 1024, 3), ("resnext101_32x8d", 2048, 3)),
        *(("shufflenet_v2_x1_0", 1024, 3), ("mnasnet1_0", 1280, 3), ("vit_b_16", 768, 3), ("swin_v2_b", 1024, 3)),
    ],
)
def test_f024_larger_members_of_a_family_have_its_groups_and_their_own_channels(
    name: str, channels: int, n_groups: int
) -> None:
    with torch.device("meta"):
        body = build_body(name)
    n_boundaries = len(body.boundaries(body.module)) + 1  # and the head
    assert (body.channels, n_boundaries + 1) == (channels, n_groups)


@pytest.mark.parametrize(("name", "side"), [("vgg11_bn", 7), ("vgg11", 7), ("alexnet", 6)])
def test_f024_vgg_and_alexnet_keep_the_pooling_before_their_classifier_as_in_fastai_v1(name: str, side: int) -> None:
    with torch.device("meta"):
        maps = build_body(name).module(torch.zeros(1, 3, 224, 224))
    assert maps.shape[2:] == (side, side)
    with torch.device("meta"):
        small = build_body(name).module(torch.zeros(1, 3, 128, 128))
    assert small.shape[2:] == (side, side)  # whatever the size of the picture
