"""What each option of the U-Net does."""

from __future__ import annotations

import pytest
import torch
from support.unets import blocks, small_encoder
from torch import nn

from learnfleet.trainer.bodies import create_body
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.unet import DynamicUnet
from learnfleet.trainer.unet_blocks import (
    NormType,
    PixelShuffle_ICNR,
    ResBlock,
    SelfAttention,
    SigmoidRange,
    batchnorm_2d,
    conv_layer,
    icnr_,
)


def test_f037_blur_is_on_every_block_and_on_the_last_only_with_blur_final() -> None:
    assert [block.shuf.blur for block in blocks(DynamicUnet(small_encoder(), 2, blur=True))] == [True, True, True]
    without = DynamicUnet(small_encoder(), 2, blur=True, blur_final=False)
    assert [block.shuf.blur for block in blocks(without)] == [True, True, False]
    assert [block.shuf.blur for block in blocks(DynamicUnet(small_encoder(), 2))] == [False] * 3


def test_f037_self_attention_is_in_the_third_block_from_the_end() -> None:
    unet = DynamicUnet(create_body("resnet18", pretrained=False), 2, self_attention=True)
    has = [any(isinstance(part, SelfAttention) for part in block.modules()) for block in blocks(unet)]
    assert has == [False, True, False, False]
    assert isinstance(blocks(unet)[1].conv2[-1], SelfAttention)


def test_f037_y_range_limits_the_scores() -> None:
    unet = DynamicUnet(small_encoder(), 1, y_range=(-2.0, 3.0))
    assert isinstance(unet[-1], SigmoidRange)
    scores = unet(1e3 * torch.randn(2, 3, 16, 16))
    assert scores.min() >= -2
    assert scores.max() <= 3
    assert SigmoidRange(-2, 3)(torch.zeros(1)).item() == 0.5
    with pytest.raises(LearnerError, match="low < high"):
        DynamicUnet(small_encoder(), 1, y_range=(3, -2))


def test_f037_last_cross_joins_the_picture_and_bottle_halves_the_last_block() -> None:
    plain, bottle = DynamicUnet(small_encoder(), 2), DynamicUnet(small_encoder(), 2, bottle=True)
    without = DynamicUnet(small_encoder(), 2, last_cross=False)
    channels = blocks(plain)[-1].out_channels + 3
    assert plain[-1][0].in_channels == channels
    assert bottle[-2].layers[0][0].out_channels == channels // 2
    assert without[-1][0].in_channels == channels - 3
    assert len(plain) - len(without) == 2
    assert without(torch.randn(2, 3, 19, 16)).shape == (2, 2, 19, 16)


@pytest.mark.parametrize("norm_type", [None, *NormType])
def test_f037_every_norm_type_trains(norm_type: NormType | None) -> None:
    unet = DynamicUnet(small_encoder(), 2, norm_type=norm_type, self_attention=True)
    norms = [type(layer).__name__ for layer in unet[3][0]]
    expected = {
        NormType.Batch: "BatchNorm2d",
        NormType.BatchZero: "BatchNorm2d",
        NormType.Group: "GroupNorm",
        NormType.SpectralGN: "GroupNorm",
        NormType.Instance: "InstanceNorm2d",
    }
    assert norms[2:] == ([expected[norm_type]] if norm_type in expected else [])
    unet(torch.randn(2, 3, 16, 16)).square().mean().backward()
    weights = [parameter for name, parameter in unet.named_parameters() if "conv1" in name and parameter.ndim == 4]
    assert weights
    assert all(weight.grad is not None for weight in weights)


def test_f037_an_unknown_norm_type_is_refused() -> None:
    with pytest.raises(LearnerError, match="no 'layer'; known: batch, batch_zero"):
        DynamicUnet(small_encoder(), 2, norm_type="layer")


def test_f037_a_shuffle_starts_as_nearest_neighbour_upsampling_under_every_norm_of_weights() -> None:
    weight = icnr_(torch.empty(8, 5, 1, 1))
    assert torch.equal(weight[0], weight[3])
    assert not torch.equal(weight[3], weight[4])
    for norm_type in (None, NormType.Weight, NormType.Spectral):
        out = PixelShuffle_ICNR(6, 2, norm_type)(torch.randn(1, 6, 3, 3))
        assert out.shape == (1, 2, 6, 6)
        corners = out[..., ::2, ::2], out[..., 1::2, ::2], out[..., ::2, 1::2], out[..., 1::2, 1::2]
        assert all(torch.allclose(corner, corners[0], atol=1e-6) for corner in corners)


def test_f037_a_blur_averages_each_pixel_with_those_above_and_left_of_it() -> None:
    shuffle = PixelShuffle_ICNR(1, 1, None, blur=True)
    nn.init.ones_(shuffle.conv[0].weight)
    out = shuffle(torch.tensor([[[[1.0, 3.0]]]]))
    assert out[0, 0].tolist() == [[1.0, 1.0, 2.0, 3.0], [1.0, 1.0, 2.0, 3.0]]


def test_f037_self_attention_starts_as_the_identity_and_follows_its_formula() -> None:
    layer, x = SelfAttention(8).eval(), torch.randn(2, 8, 3, 4)
    assert torch.equal(layer(x), x)
    with torch.no_grad():
        layer.gamma.fill_(0.5)
        flat = x.flatten(2)
        attention = torch.softmax(layer.query(flat).transpose(1, 2) @ layer.key(flat), dim=1)
        expected = x + 0.5 * (layer.value(flat) @ attention).view_as(x)
        assert torch.allclose(layer(x), expected)
    assert layer.query(flat).shape == (2, 1, 12)


def test_f037_layers_are_normalised_as_their_type_says() -> None:
    assert batchnorm_2d(4).weight.unique().tolist() == [1.0]
    assert batchnorm_2d(4, NormType.BatchZero).weight.unique().tolist() == [0.0]
    assert conv_layer(3, 4).__len__() == 3
    assert conv_layer(3, 4)[0].bias is None
    assert conv_layer(3, 4, norm_type=None)[0].bias is not None
    block = ResBlock(4).eval()
    x = torch.randn(1, 4, 5, 5)
    assert torch.allclose(block(x), x + 1e-3)  # the second BatchNorm starts at zero, with biases of 1e-3
