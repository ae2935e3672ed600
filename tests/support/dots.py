"""Pictures with a bright dot at a labelled pixel, and where the dot is found in what became of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

DOTS = {  # name: (rows, columns), the middle of the dot
    "broad": ((120, 160), (50, 90)),
    "high": ((160, 120), (85, 52)),
    "square": ((128, 128), (70, 58)),
    "large": ((300, 220), (140, 120)),
}
_REACH = 3.0  # pixels by which a dot fades


def dotted_pictures(root: Path) -> Path:
    """One picture of each of DOTS, the middle of its dot at the labelled pixel."""
    for name, (size, (y, x)) in DOTS.items():
        rows, columns = np.mgrid[: size[0], : size[1]]
        reach = _REACH * max(size) / 128
        values = 255 * np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / (2 * reach**2))
        Image.fromarray(np.repeat(values[..., None], 3, axis=2).round().astype(np.uint8)).save(root / f"{name}.png")
    return root


def dot_of(path: Path) -> tuple[int, int]:
    """(y, x) of the dot in a file of `dotted_pictures`."""
    return DOTS[path.stem][1]


def centroid(picture: Tensor) -> Tensor:
    """(y, x) of the middle of what is bright in [3, H, W], in pixels."""
    bright = picture.mean(dim=0).double()
    bright = torch.where(bright > bright.max() / 3, bright, 0.0)
    rows, columns = (torch.arange(side, dtype=torch.float64) for side in bright.shape)
    return torch.stack((bright.sum(1) @ rows, bright.sum(0) @ columns)) / bright.sum()
