"""The U-Net: shapes, options, encoders of every kind."""

from __future__ import annotations

import copy
import inspect
import threading

import pytest
import torch
from support.unets import MaskData, blocks, small_encoder
from torch import Tensor, nn

from learnfleet.trainer.bodies import create_body
from learnfleet.trainer.encoder_steps import find_steps
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.segmentation import unet_learner
from learnfleet.trainer.unet import DynamicUnet
from learnfleet.trainer.unet_blocks import (
    ResBlock,
)


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def test_f036_a_resnet18_unet_has_fastais_shape() -> None:
    unet = DynamicUnet(create_body("resnet18", pretrained=False), 5)
    assert len(unet) == 12
    assert count(unet) == 31_121_255
    names = [type(layer).__name__ for layer in unet.layers]
    assert names == [
        *("Sequential", "BatchNorm2d", "ReLU", "Sequential"),
        *["UnetBlock"] * 4,
        *("PixelShuffle_ICNR", "MergeLayer", "ResBlock", "Sequential"),
    ]
    assert [block.out_channels for block in blocks(unet)] == [512, 384, 256, 96]
    assert unet(torch.randn(2, 3, 64, 64)).shape == (2, 5, 64, 64)


def test_f036_names_in_a_state_dict_are_fastais() -> None:
    names = set(DynamicUnet(create_body("resnet18", pretrained=False), 5).state_dict())
    assert {
        "layers.0.0.weight",
        "layers.1.running_mean",
        "layers.3.0.0.weight",
        "layers.4.shuf.conv.0.weight",
        "layers.4.bn.weight",
        "layers.4.conv1.0.weight",
        "layers.7.conv2.2.weight",
        "layers.8.conv.0.weight",
        "layers.10.layers.0.0.weight",
        "layers.11.0.weight",
    } <= names


def test_f036_any_size_of_picture_comes_back_in_its_size() -> None:
    unet = DynamicUnet(small_encoder(), 2).eval()
    for rows, columns in ((64, 64), (33, 47), (17, 100), (8, 8)):
        assert unet(torch.randn(1, 3, rows, columns)).shape == (1, 2, rows, columns)


@pytest.mark.parametrize(
    ("name", "n_blocks", "side"),
    [
        ("vgg11_bn", 5, 32),
        ("mobilenet_v2", 4, 33),
        ("efficientnet_b0", 4, 40),
        ("densenet121", 4, 32),
        ("swin_t", 3, 36),
        ("inception_v3", 4, 80),
        ("timm/tf_efficientnet_lite0", 4, 37),
        ("timm/regnety_002", 4, 32),
        ("pytorchcv/resnet10", 3, 32),
    ],
)
def test_f036_it_is_built_around_any_body_that_shrinks_in_steps(name: str, n_blocks: int, side: int) -> None:
    unet = DynamicUnet(create_body(name, pretrained=False), 2)
    assert len(blocks(unet)) == n_blocks
    assert isinstance(unet[-3], ResBlock) or isinstance(unet[-2], ResBlock)
    assert unet(torch.randn(2, 3, side, side + 3)).shape == (2, 2, side, side + 3)


def test_f036_skips_are_the_last_maps_of_each_size() -> None:
    encoder = create_body("resnet18", pretrained=False)
    steps, picture = find_steps(encoder)
    assert picture == (64, 64)
    assert [(step.channels, step.size[0]) for step in steps] == [(64, 32), (64, 16), (128, 8), (256, 4)]
    assert [step.module for step in steps] == [encoder[2], encoder[4][-1], encoder[5][-1], encoder[6][-1]]


def test_f036_a_body_without_steps_is_refused() -> None:
    with pytest.raises(LearnerError, match="do not shrink in steps"):
        DynamicUnet(nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU()), 2)


def test_f036_the_encoders_maps_reach_the_decoder_in_full_and_gradients_come_back() -> None:
    unet = DynamicUnet(small_encoder(), 2)
    unet(torch.randn(2, 3, 16, 16)).square().mean().backward()
    assert all(parameter.grad is not None for parameter in unet.parameters())
    assert all(not block.skip._stored for block in blocks(unet))


def test_f036_a_copy_has_skips_of_its_own_and_threads_do_not_mix_theirs() -> None:
    unet = DynamicUnet(small_encoder(), 2).eval()
    twin = copy.deepcopy(unet)
    assert blocks(twin)[0].skip is not blocks(unet)[0].skip
    x, y = torch.randn(1, 3, 32, 32), torch.randn(1, 3, 48, 48)
    with torch.no_grad():
        expected = [unet(x), unet(y)]
        assert torch.equal(twin(x), expected[0])
        found: dict[int, list[Tensor]] = {0: [], 1: []}

        def run(index: int) -> None:
            with torch.no_grad():
                found[index] = [unet((x, y)[index]) for _ in range(10)]

        threads = [threading.Thread(target=run, args=(index,)) for index in (0, 1)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    for index in (0, 1):
        assert len(found[index]) == 10
        assert all(torch.equal(out, expected[index]) for out in found[index])


def test_f036_unet_learner_has_fastais_arguments() -> None:
    parameters = inspect.signature(unet_learner).parameters
    assert " ".join(list(parameters)[:12]) == (
        "data arch pretrained blur_final norm_type split_on blur self_attention y_range last_cross bottle cut"
    )
    defaults = [parameters[name].default for name in list(parameters)[2:12]]
    assert defaults == [True, True, None, None, False, False, None, True, False, None]


def test_f036_unet_learner_splits_by_the_encoder_trains_and_freezes() -> None:
    learner = unet_learner(MaskData(), "resnet18", pretrained=False, silent=True)
    assert len(learner.layer_groups) == 3
    assert learner.layer_groups[1].modules[0][0] == "layers.0.6.0.conv1"
    assert learner.layer_groups[2].modules[0][0] == "layers.1"
    assert count(learner.model) == 31_113_008  # no BatchNorm in the decoder's convolutions, as in v1 and v2
    learner.freeze()
    assert not learner.model[0][0].weight.requires_grad
    assert all(parameter.requires_grad for parameter in learner.model[3].parameters())


def test_f036_unet_learner_learns_masks() -> None:
    small = unet_learner(MaskData(), lambda pretrained: small_encoder(), False, cut=lambda m: m, silent=True)
    assert small.spec is None
    before = small.validate()[0]
    small.fit(4, 1e-2)
    assert small.validate()[0] < 0.6 * before


def test_f036_a_pretrained_unet_is_frozen() -> None:
    learner = unet_learner(MaskData(), small_encoder(), pretrained=True, cut=lambda m: m, silent=True)
    assert learner.frozen_to == 1
