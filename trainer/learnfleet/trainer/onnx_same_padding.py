"""TensorFlow's "same" padding in ONNX, of inputs of any size.

timm computes that padding from the size of the input. Where the size is free, torch.export reasons about every such
computation upon the ones before it, and does not come to an end in minutes. ONNX has an attribute for it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

_OPSET = 18  # the first that torch's exporter writes


@contextlib.contextmanager
def same_padding_by_onnx(model: nn.Module) -> Iterator[None]:
    """Within it, timm's layers that pad so are traced as ONNX operators. They compute nothing then."""
    from timm.layers.conv2d_same import Conv2dSame
    from timm.layers.pool2d_same import AvgPool2dSame, MaxPool2dSame
    from timm.layers.std_conv import ScaledStdConv2dSame, StdConv2dSame

    traced: dict[type[nn.Module], Callable[[Any, Tensor], Tensor]] = {
        Conv2dSame: _convolve,
        StdConv2dSame: _convolve_standardized,
        ScaledStdConv2dSame: _convolve_standardized,
        AvgPool2dSame: _average,
        MaxPool2dSame: _maximum,
    }
    changed = [module for module in model.modules() if type(module) in traced and _is_traceable(module)]
    for module in changed:
        module.forward = partial(traced[type(module)], module)
    try:
        yield
    finally:
        for module in changed:
            del module.forward  # its class has its own


def _is_traceable(module: Any) -> bool:
    """Whether it pads by the size of its input, and onnxruntime can, too: it has no strides with a dilation."""
    pads = getattr(module, "same_pad", True)  # a standardised one may have a fixed padding
    return bool(pads and (_both(module.stride) == (1, 1) or _dilation(module) == (1, 1)))


def _dilation(module: Any) -> tuple[int, int]:
    return _both(getattr(module, "dilation", 1))


def _both(value: Any) -> tuple[int, int]:
    """Of rows and columns, as torch's layers have one number or two."""
    return (value, value) if isinstance(value, int) else tuple(value)


def _convolve(module: Any, pixels: Tensor) -> Tensor:
    return _convolve_with(module, pixels, module.weight)


def _convolve_standardized(module: Any, pixels: Tensor) -> Tensor:
    """Weights with a mean of 0 and a variance of 1 (https://arxiv.org/abs/1903.10520), times their gain."""
    rows = module.weight.flatten(1)
    spread = torch.sqrt(rows.var(1, correction=0, keepdim=True) + module.eps)
    weight = (rows - rows.mean(1, keepdim=True)) / spread
    if hasattr(module, "gain"):
        weight = weight * (module.gain.flatten(1) * module.scale)
    return _convolve_with(module, pixels, weight.reshape_as(module.weight))


def _convolve_with(module: Any, pixels: Tensor, weight: Tensor) -> Tensor:
    inputs = [pixels, weight] if module.bias is None else [pixels, weight, module.bias]
    return _traced("Conv", module, inputs, len(weight), {"group": module.groups, **_dilations(module)})


def _average(module: Any, pixels: Tensor) -> Tensor:
    # timm pads with zeros before the layer, which therefore counts them whatever it does with padding of its own
    return _traced("AveragePool", module, [pixels], pixels.shape[1], {"count_include_pad": 1})


def _maximum(module: Any, pixels: Tensor) -> Tensor:
    return _traced("MaxPool", module, [pixels], pixels.shape[1], _dilations(module))


def _dilations(module: Any) -> dict[str, list[int]]:
    return {"dilations": list(_dilation(module))}


def _traced(operator: str, module: Any, inputs: list[Tensor], channels: Any, attributes: dict[str, Any]) -> Tensor:
    pixels, kernel, stride = inputs[0], _both(module.kernel_size), _both(module.stride)
    attributes |= {"kernel_shape": list(kernel), "strides": list(stride), **_padding(kernel, stride, _dilation(module))}
    sides = [-(-side // step) for side, step in zip(pixels.shape[2:], stride, strict=True)]
    shape = [pixels.shape[0], channels, *sides]
    return torch.onnx.ops.symbolic(operator, inputs, attributes, dtype=pixels.dtype, shape=shape, version=_OPSET)


def _padding(kernel: tuple[int, int], stride: tuple[int, int], dilation: tuple[int, int]) -> dict[str, Any]:
    if dilation == (1, 1):
        return {"auto_pad": "SAME_UPPER"}
    # onnxruntime takes no dilation with that; without a stride the padding is the same for every size
    whole = [step * (side - 1) for side, step in zip(kernel, dilation, strict=True)]
    return {"pads": [side // 2 for side in whole] + [side - side // 2 for side in whole]}
