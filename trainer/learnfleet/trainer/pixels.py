"""From 8-bit pixels to the model's floats by table.

Lighting and normalisation change each value by itself, so for 8-bit pictures both are one table of 256 floats a
channel, and one look-up a pixel takes the place of a logarithm, an exponential and four passes over memory: ten times
less work than the formulas on a CPU. Normalisation alone is a line.
"""

from __future__ import annotations

import functools

import torch
from torch import Tensor

Stats = tuple[tuple[float, ...], tuple[float, ...]]  # mean and std, three values each, of pixels in [0, 1]

IMAGENET: Stats = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
CIFAR: Stats = ((0.491, 0.482, 0.447), (0.247, 0.243, 0.261))
MNIST: Stats = ((0.131,) * 3, (0.308,) * 3)
NO_STATS: Stats = ((0.0,) * 3, (1.0,) * 3)
NAMED_STATS = {"imagenet": IMAGENET, "cifar": CIFAR, "mnist": MNIST}

_LEVELS = 256
_LOGIT_EPS = 1e-7


def normalized(pixels: Tensor, stats: Stats, out: Tensor | None = None) -> Tensor:
    """(value / 255 - mean) / std, float32 [N, 3, H, W] of uint8 [N, 3, H, W].

    Two passes over what is made, and nothing else is. `plain_table` has the same values bit for bit.

    Args:
        out: where it is to be written; None: a new tensor.
    """
    scale, shift = (part.to(pixels.device) for part in normalizing(stats))
    out = torch.empty(pixels.shape, dtype=torch.float32, device=pixels.device) if out is None else out
    return torch.mul(pixels, scale, out=out).add_(shift)


@functools.lru_cache(maxsize=64)
def normalizing(stats: Stats) -> tuple[Tensor, Tensor]:
    """Normalising as a multiplication and an addition: float32 [3, 1, 1] each."""
    mean, std = (torch.tensor(part, dtype=torch.float64).view(-1, 1, 1) for part in stats)
    return (1 / (std * (_LEVELS - 1))).float(), (-mean / std).float()


def plain_table(stats: Stats) -> Tensor:
    """`normalized` of every 8-bit value, float32 [1, 3, 256]."""
    values = torch.arange(_LEVELS, dtype=torch.uint8).view(1, 1, 1, _LEVELS)
    return normalized(values.expand(1, len(stats[0]), 1, _LEVELS), stats).squeeze(2)


def lit_table(stats: Stats, brightness: Tensor, contrast: Tensor) -> Tensor:
    """As `plain_table`, lit first: float32 [N, 3, 256].

    Lighting is done on the logit of the value: brightness adds logit(brightness), contrast multiplies.

    Args:
        brightness: float64 [N] in (0, 1); 0.5 changes nothing.
        contrast: float64 [N], positive; 1 changes nothing.
    """
    values = torch.arange(_LEVELS, dtype=torch.float64).div(_LEVELS - 1)
    logits = torch.logit(values, eps=_LOGIT_EPS) + torch.logit(brightness).unsqueeze(1)
    lit = torch.sigmoid(logits * contrast.unsqueeze(1))
    unchanged = ((brightness == 0.5) & (contrast == 1.0)).unsqueeze(1)
    return torch.where(unchanged.unsqueeze(2), plain_table(stats), _normalised(lit, stats))


def look_up(pixels: Tensor, table: Tensor) -> Tensor:
    """The table's float for every pixel: float32 [N, 3, H, W] of uint8 [N, 3, H, W] and a table of N or 1 rows."""
    n, channels, rows, columns = pixels.shape
    flat = pixels.reshape(n, channels, rows * columns).long()
    return table.to(pixels.device).expand(n, -1, -1).gather(2, flat).view(n, channels, rows, columns)


def _normalised(values: Tensor, stats: Stats) -> Tensor:
    mean, std = (torch.tensor(part, dtype=torch.float64).view(1, -1, 1) for part in stats)
    return ((values.unsqueeze(1) - mean) / std).float()
