"""A small network from numbers alone, for first steps and tests (fastai v1 `simple_cnn`)."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from learnfleet.trainer.unet_blocks import NormType, conv_layer


def simple_cnn(
    actns: Sequence[int],
    kernel_szs: Sequence[int] | None = None,
    strides: Sequence[int] | None = None,
    bn: bool = False,
) -> nn.Sequential:
    """Convolutions with ReLU, then the mean over each map: pictures [N, actns[0], H, W] to outputs [N, actns[-1]].

    Args:
        actns: channels of the pictures, after each convolution, and outputs at last, as (3, 16, 16, 2).
        kernel_szs: of each convolution. None: 3.
        strides: of each convolution. None: 2.
        bn: BatchNorm after each convolution but the last.

    Raises ValueError for less than one convolution, or sizes or strides for another number of them.
    """
    count = len(actns) - 1
    kernel_szs, strides = kernel_szs or [3] * count, strides or [2] * count
    if count < 1 or not len(kernel_szs) == len(strides) == count:
        raise ValueError(
            f"actns of {len(actns)} numbers make {count} convolutions, but there are {len(kernel_szs)} kernel_szs and"
            f" {len(strides)} strides: give one of each a convolution, and at least one convolution"
        )
    norms = [NormType.Batch if bn else None] * (count - 1) + [None]
    shapes = zip(actns[:-1], actns[1:], kernel_szs, norms, strides, strict=True)
    layers = [conv_layer(ni, nf, ks, norm, stride=stride) for ni, nf, ks, norm, stride in shapes]
    return nn.Sequential(*layers, nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()))
