"""Layers that pad as TensorFlow does, as ONNX operators: the same numbers for every size and parity."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from timm.layers.conv2d_same import Conv2dSame
from timm.layers.pool2d_same import AvgPool2dSame, MaxPool2dSame
from timm.layers.std_conv import ScaledStdConv2dSame, StdConv2dSame
from torch import Tensor, nn

from learnfleet.trainer.onnx_same_padding import same_padding_by_onnx

SIDES = [(16, 16), (17, 16), (31, 18), (40, 37)]


def network() -> nn.Sequential:
    """Every such layer, with strides, dilation, groups, even kernels and one kernel smaller than its stride."""
    return nn.Sequential(
        Conv2dSame(3, 8, 3, stride=2),
        StdConv2dSame(8, 8, 3, stride=(2, 1)),
        ScaledStdConv2dSame(8, 8, 4, stride=2, groups=2),
        AvgPool2dSame(2, stride=1, count_include_pad=False),
        MaxPool2dSame(3, stride=2),
        Conv2dSame(8, 4, 1, stride=2, bias=False),
        Conv2dSame(4, 4, 3, dilation=2, groups=4),
    ).eval()


def by_onnx(model: nn.Module, file: Path, sides: list[tuple[int, int]]) -> list[Tensor]:
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    free = torch.export.Dim.DYNAMIC
    with same_padding_by_onnx(model):
        program = torch.onnx.export(
            model, (torch.rand(2, 3, 24, 28),), dynamo=True, dynamic_shapes=({2: free, 3: free},), verbose=False
        )
    program.save(file)  # type: ignore[union-attr]
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return [torch.from_numpy(session.run(None, {name: pixels(*size).numpy()})[0]) for size in sides]


def pixels(rows: int, columns: int) -> Tensor:
    return torch.rand(2, 3, rows, columns, generator=torch.Generator().manual_seed(rows)) - 0.5


def test_every_layer_gives_in_onnx_what_it_gives_in_torch_whatever_the_size(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = network().requires_grad_(False)
    for size, found in zip(SIDES, by_onnx(model, tmp_path / "model.onnx", SIDES), strict=True):
        expected = model(pixels(*size))
        assert found.shape == expected.shape
        assert torch.allclose(found, expected, rtol=1e-4, atol=1e-6), size
        assert float(expected.abs().max()) > 1e-3


def test_the_layers_compute_themselves_again_after_it_and_after_an_error() -> None:
    model = network()
    before = model(pixels(20, 20))
    with pytest.raises(RuntimeError, match="of mine"), same_padding_by_onnx(model):
        raise RuntimeError("of mine")
    assert torch.equal(model(pixels(20, 20)), before)
    assert not [name for name, module in model.named_modules() if "forward" in vars(module)]
