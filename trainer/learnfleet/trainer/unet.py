"""A U-Net around any body whose maps shrink in steps (fastai v1 `DynamicUnet`)."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from learnfleet.trainer.bodies import probe
from learnfleet.trainer.encoder_steps import Step, find_steps, without_last_pool
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.unet_blocks import (
    MergeLayer,
    NormType,
    PixelShuffle_ICNR,
    ResBlock,
    SigmoidRange,
    batchnorm_2d,
    conv_layer,
    resize_to,
)

_ATTENTION_FROM_END = 3  # the block with self-attention, counted from the last


class Skip:
    """Keeps what a module of the encoder gave until the decoder takes it.

    By thread: a predictor may be used by several at once, and DataParallel runs its copies in threads.
    """

    def __init__(self, channels_last: bool) -> None:
        self.channels_last = channels_last
        self._stored: dict[int, Tensor] = {}

    def __call__(self, _module: nn.Module, _inputs: object, output: Tensor) -> None:
        self._stored[threading.get_ident()] = output

    def take(self) -> Tensor:
        """The encoder's maps [N, C, h, w] of this pass."""
        output = self._stored.pop(threading.get_ident())
        return output.permute(0, 3, 1, 2) if self.channels_last else output

    def __getstate__(self) -> dict[str, object]:
        return {"channels_last": self.channels_last, "_stored": {}}  # a copy of a model starts with nothing kept


class UnetBlock(nn.Module):
    """Doubles a map's size, and joins the encoder's map of that size to it."""

    def __init__(
        self,
        up_in_c: int,
        x_in_c: int,
        skip: Skip,
        norm_type: NormType | None,
        *,
        final_div: bool = True,
        blur: bool = False,
        self_attention: bool = False,
    ) -> None:
        super().__init__()
        self.skip = skip
        self.shuf = PixelShuffle_ICNR(up_in_c, up_in_c // 2, norm_type, blur=blur)
        self.bn = batchnorm_2d(x_in_c)
        joined = up_in_c // 2 + x_in_c
        self.out_channels = joined if final_div else joined // 2
        self.conv1 = conv_layer(joined, self.out_channels, 3, norm_type)
        self.conv2 = conv_layer(self.out_channels, self.out_channels, 3, norm_type, self_attention=self_attention)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, up_in: Tensor) -> Tensor:
        from_encoder = self.skip.take()
        up = resize_to(self.shuf(up_in), from_encoder.shape[-2:])
        joined: Tensor = self.conv2(self.conv1(self.relu(torch.cat([up, self.bn(from_encoder)], 1))))
        return joined


class DynamicUnet(nn.Module):
    """Pictures [N, 3, H, W] to scores [N, n_classes, H, W], for any H and W that the encoder takes.

    `layers` are, by their places, and hence their names in a state dict: 0 the encoder, 1 BatchNorm, 2 ReLU, 3 the
    middle convolutions, then a block for each halving of the encoder's maps, deepest first; a pixel shuffle where the
    encoder's first maps are smaller than the picture; under `last_cross` the picture joined on, and a residual block;
    a 1x1 convolution; under `y_range` a sigmoid. The names are fastai v1's, where img_size was even.

    Args:
        encoder: a body whose maps are halved in steps. A pooling layer at its end is left out.
        blur: blur after each pixel shuffle against checkerboard patterns, in the last block only with `blur_final`.
        self_attention: in the third block from the end.
        y_range: low and high end of the scores. Default: no limit.
        last_cross: join the picture itself to the last maps.
        bottle: halve the channels inside that last residual block.
        norm_type: of every convolution of the decoder. None: no normalisation, but biases (`unet_learner`'s default).

    Options that have no effect (`bottle` without `last_cross`, attention with fewer than three blocks) give a warning.
    Unlike v1, sizes are not fixed when it is built: the last maps are resized to each picture (as in v2).

    Raises LearnerError when the encoder's maps do not shrink in steps.
    Source: Ronneberger et al., "U-Net", 2015, arXiv:1505.04597.
    """

    def __init__(
        self,
        encoder: nn.Module,
        n_classes: int,
        blur: bool = False,
        blur_final: bool = True,
        self_attention: bool = False,
        y_range: Sequence[float] | None = None,
        last_cross: bool = True,
        bottle: bool = False,
        norm_type: NormType | str | None = NormType.Batch,
    ) -> None:
        super().__init__()
        norm = _norm_type(norm_type)
        if bottle and not last_cross:
            warnings.warn("bottle has no effect: it is of the block that last_cross=False leaves out", stacklevel=2)
        encoder = without_last_pool(encoder)
        steps, picture = find_steps(encoder)
        channels = probe(type(encoder).__name__, encoder).maps.shape[1]
        if self_attention and len(steps) < _ATTENTION_FROM_END:
            warnings.warn(f"self_attention has no effect: it needs 3 blocks, and there are {len(steps)}", stacklevel=2)
        layers = [encoder, batchnorm_2d(channels), nn.ReLU(), _middle(channels, norm)]
        blocks = _blocks(steps, channels, norm, blur, blur_final, self_attention)
        layers += blocks
        channels = blocks[-1].out_channels
        if steps[0].size != picture:
            layers.append(PixelShuffle_ICNR(channels, None, norm))
        self._full_size = len(layers)  # from this layer on, maps have the size of the picture
        if last_cross:
            channels += 3
            layers += [MergeLayer(dense=True), ResBlock(channels, bottle, norm)]
        layers.append(conv_layer(channels, n_classes, 1, norm, use_activ=False))
        if y_range is not None:
            layers.append(SigmoidRange(*_low_high(y_range)))
        self.layers = nn.ModuleList(layers)

    def __getitem__(self, index: int) -> nn.Module:
        return self.layers[index]

    def __len__(self) -> int:
        return len(self.layers)

    def forward(self, x: Tensor) -> Tensor:
        out = x
        for index, layer in enumerate(self.layers):
            if index == self._full_size:
                out = resize_to(out, x.shape[-2:])
            out = layer(out, x) if isinstance(layer, MergeLayer) else layer(out)
        return out


def _middle(channels: int, norm: NormType | None) -> nn.Sequential:
    return nn.Sequential(conv_layer(channels, channels * 2, 3, norm), conv_layer(channels * 2, channels, 3, norm))


def _blocks(
    steps: Sequence[Step], channels: int, norm: NormType | None, blur: bool, blur_final: bool, self_attention: bool
) -> list[UnetBlock]:
    blocks: list[UnetBlock] = []
    for index, step in enumerate(reversed(steps)):
        skip = Skip(step.channels_last)
        step.module.register_forward_hook(skip)
        is_last = index == len(steps) - 1
        block = UnetBlock(
            channels,
            step.channels,
            skip,
            norm,
            final_div=not is_last,
            blur=blur and (blur_final or not is_last),
            self_attention=self_attention and index == len(steps) - _ATTENTION_FROM_END,
        )
        blocks.append(block)
        channels = block.out_channels
    return blocks


def _norm_type(value: NormType | str | None) -> NormType | None:
    try:
        return None if value is None else NormType(value)
    except ValueError as error:
        known = ", ".join(item.value for item in NormType)
        raise LearnerError("norm_type", f"there is no {value!r}; known: {known}") from error


def _low_high(y_range: Sequence[float]) -> tuple[float, float]:
    if not isinstance(y_range, Iterable) or len(y_range) != 2 or not y_range[0] < y_range[1]:
        raise LearnerError("y_range", f"{y_range!r} is not (low, high) with low < high")
    return float(y_range[0]), float(y_range[1])
