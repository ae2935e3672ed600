"""The small network from numbers alone."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from learnfleet.trainer import simple_cnn


def convolutions(model: nn.Module) -> list[nn.Conv2d]:
    return [layer for layer in model.modules() if isinstance(layer, nn.Conv2d)]


def test_simple_cnn_halves_the_sides_by_each_convolution_and_gives_the_mean_of_each_map() -> None:
    model = simple_cnn((3, 16, 16, 2)).eval()
    assert [(c.in_channels, c.out_channels, c.kernel_size, c.stride) for c in convolutions(model)] == [
        (3, 16, (3, 3), (2, 2)),
        (16, 16, (3, 3), (2, 2)),
        (16, 2, (3, 3), (2, 2)),
    ]
    x = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    maps = model[:-1](x)
    assert maps.shape == (4, 2, 4, 4)
    assert float(maps.min().detach()) >= 0  # each convolution is followed by ReLU
    assert torch.allclose(model(x), maps.mean(dim=(2, 3)))


def test_simple_cnn_takes_kernels_and_strides_and_normalises_all_but_the_last() -> None:
    model = simple_cnn([1, 4, 8, 3], [5, 3, 1], [1, 2, 1], True)
    assert [(c.kernel_size[0], c.stride[0], c.bias is None) for c in convolutions(model)] == [
        (5, 1, True),
        (3, 2, True),
        (1, 1, False),
    ]
    assert [layer.num_features for layer in model.modules() if isinstance(layer, nn.BatchNorm2d)] == [4, 8]
    assert model(torch.randn(2, 1, 9, 9)).shape == (2, 3)


@pytest.mark.parametrize(("actns", "kernel_szs"), [((3,), None), ((3, 8, 2), [3]), ((3, 8), [3, 3])])
def test_simple_cnn_wants_a_kernel_a_convolution(actns: tuple[int, ...], kernel_szs: list[int] | None) -> None:
    with pytest.raises(ValueError, match="at least one convolution"):
        simple_cnn(actns, kernel_szs)
