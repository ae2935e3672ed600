"""The parts of a U-Net's decoder (fastai v1's layers of the same names)."""

from __future__ import annotations

import math
from enum import StrEnum

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm, weight_norm

from learnfleet.trainer.head import Init


class NormType(StrEnum):
    """How convolutions are normalised: by a layer after them, or in their weights."""

    Batch = "batch"
    BatchZero = "batch_zero"  # starts at zero, so that a residual block starts as the identity
    Weight = "weight"
    Spectral = "spectral"
    Group = "group"
    Instance = "instance"
    SpectralGN = "spectral_gn"  # spectral in the weights, groups after


_MAX_GROUPS = 32


def batchnorm_2d(nf: int, norm_type: NormType = NormType.Batch) -> nn.BatchNorm2d:
    """BatchNorm with biases of 1e-3; its weights are 1, or 0 for BatchZero."""
    layer = nn.BatchNorm2d(nf)
    with torch.no_grad():
        layer.bias.fill_(1e-3)
        layer.weight.fill_(0.0 if norm_type is NormType.BatchZero else 1.0)
    return layer


def _norm_layer(nf: int, norm_type: NormType | None) -> nn.Module | None:
    if norm_type in (NormType.Batch, NormType.BatchZero):
        return batchnorm_2d(nf, norm_type)
    if norm_type in (NormType.Group, NormType.SpectralGN):
        return nn.GroupNorm(math.gcd(nf, _MAX_GROUPS), nf)
    return nn.InstanceNorm2d(nf, affine=True) if norm_type is NormType.Instance else None


def conv_layer(
    ni: int,
    nf: int,
    ks: int = 3,
    norm_type: NormType | None = NormType.Batch,
    *,
    stride: int = 1,
    use_activ: bool = True,
    self_attention: bool = False,
    init: Init = nn.init.kaiming_normal_,
) -> nn.Sequential:
    """Convolution that divides the size by `stride`, ReLU, normalisation, in this order. Biases start at zero.

    A convolution that a layer normalises has no bias.
    """
    norm = _norm_layer(nf, norm_type)
    conv = nn.Conv2d(ni, nf, ks, stride, padding=(ks - 1) // 2, bias=norm is None)
    init(conv.weight)
    if conv.bias is not None:
        nn.init.zeros_(conv.bias)
    layers: list[nn.Module] = [_normalise_weight(conv, norm_type)]
    if use_activ:
        layers.append(nn.ReLU(inplace=True))
    if norm is not None:
        layers.append(norm)
    if self_attention:
        layers.append(SelfAttention(nf))
    return nn.Sequential(*layers)


def _normalise_weight(conv: nn.Module, norm_type: NormType | None) -> nn.Module:
    if norm_type is NormType.Weight:
        weight_norm(conv)  # both change the module in place
    if norm_type in (NormType.Spectral, NormType.SpectralGN):
        spectral_norm(conv)
    return conv


class SelfAttention(nn.Module):
    """Attention of each place of a map over all others, added by a factor that starts at zero.

    Source: Zhang et al., "Self-attention generative adversarial networks", 2018, arXiv:1805.08318.
    """

    def __init__(self, n_channels: int) -> None:
        super().__init__()
        inner = max(n_channels // 8, 1)
        self.query, self.key = _pointwise(n_channels, inner), _pointwise(n_channels, inner)
        self.value = _pointwise(n_channels, n_channels)
        self.gamma = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        flat = x.flatten(2)  # [N, C, places]
        weights = torch.softmax(self.query(flat).transpose(1, 2) @ self.key(flat), dim=1)
        attended: Tensor = self.value(flat) @ weights
        return (self.gamma * attended).view_as(x) + x


def _pointwise(ni: int, no: int) -> nn.Module:
    layer = nn.Conv1d(ni, no, 1, bias=False)
    nn.init.kaiming_normal_(layer.weight)
    spectral_norm(layer)
    return layer


def icnr_(weight: Tensor, scale: int = 2) -> Tensor:
    """Fill a convolution's weights so that a pixel shuffle after it starts as nearest-neighbour upsampling.

    Source: Aitken et al., "Checkerboard artifact free sub-pixel convolution", 2017, arXiv:1707.02937.
    """
    first = torch.empty(weight.shape[0] // scale**2, *weight.shape[1:], dtype=weight.dtype, device=weight.device)
    nn.init.kaiming_normal_(first)
    with torch.no_grad():
        return weight.copy_(first.repeat_interleave(scale**2, dim=0))


class PixelShuffle_ICNR(nn.Module):  # noqa: N801 (fastai's name)
    """[N, ni, h, w] to [N, nf, 2h, 2w]: a 1x1 convolution with ICNR weights, ReLU, shuffle, and an optional blur."""

    def __init__(
        self, ni: int, nf: int | None = None, norm_type: NormType | None = NormType.Weight, *, blur: bool = False
    ) -> None:
        super().__init__()
        # Initialised before it is normalised. fastai v1 did it after, where weight and spectral normalisation compute
        # the weight anew, so that ICNR was lost.
        self.conv = conv_layer(ni, (nf or ni) * 4, 1, norm_type, use_activ=False, init=icnr_)
        self.relu, self.shuf = nn.ReLU(inplace=True), nn.PixelShuffle(2)
        self.pad, self.mean = nn.ReplicationPad2d((1, 0, 1, 0)), nn.AvgPool2d(2, stride=1)
        self.blur = blur

    def forward(self, x: Tensor) -> Tensor:
        x = self.shuf(self.relu(self.conv(x)))
        return self.mean(self.pad(x)) if self.blur else x


class MergeLayer(nn.Module):
    """A layer's input beside its output: added, or as further channels when `dense`."""

    def __init__(self, dense: bool = False) -> None:
        super().__init__()
        self.dense = dense

    def forward(self, x: Tensor, original: Tensor) -> Tensor:
        return torch.cat([x, original], 1) if self.dense else x + original


class ResBlock(nn.Module):
    """Two convolutions and their input added (fastai's `res_block`). `bottle` halves the channels between them."""

    def __init__(self, nf: int, bottle: bool = False, norm_type: NormType | None = NormType.Batch) -> None:
        super().__init__()
        inner = nf // 2 if bottle else nf
        second = NormType.BatchZero if norm_type is NormType.Batch else norm_type
        self.layers = nn.ModuleList(
            [conv_layer(nf, inner, 3, norm_type), conv_layer(inner, nf, 3, second), MergeLayer()]
        )

    def forward(self, x: Tensor) -> Tensor:
        first, second, merge = self.layers
        merged: Tensor = merge(second(first(x)), x)
        return merged


class SigmoidRange(nn.Module):
    """A sigmoid stretched to [low, high]."""

    def __init__(self, low: float, high: float) -> None:
        super().__init__()
        self.low, self.high = low, high

    def forward(self, x: Tensor) -> Tensor:
        return torch.sigmoid(x) * (self.high - self.low) + self.low


def resize_to(x: Tensor, size: torch.Size) -> Tensor:
    """Nearest-neighbour resize of maps to [rows, columns]; the maps themselves where they have it."""
    return x if x.shape[-2:] == size else F.interpolate(x, list(size), mode="nearest")
