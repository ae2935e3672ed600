"""From any Pillow mode to 8-bit RGB. Imports no torch."""

from __future__ import annotations

import numpy as np
from PIL import Image

_MAX_16_BIT = 65_535
_ALPHA_MODES = ("RGBA", "LA", "PA", "RGBa", "La")


def to_rgb(image: Image.Image) -> Image.Image:
    """An 8-bit RGB picture of the same size.

    Transparent pictures are laid on white: the colours beneath transparent pixels are arbitrary, and dropping the
    alpha channel (as fastai does) would show them. 16-bit grey is scaled by 1/257; Pillow's own conversion clips it.

    Raises ValueError for pixel values that no scale is known for.
    """
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if image.mode.startswith("I"):
        return _from_16_bit(image).convert("RGB")
    if image.mode == "F":
        return _from_float(image).convert("RGB")
    if image.mode in _ALPHA_MODES or "transparency" in image.info:
        return _on_white(image.convert("RGBA"))
    return image.convert("RGB")


def _from_16_bit(image: Image.Image) -> Image.Image:
    values = np.asarray(image).astype(np.int64)
    if values.min() < 0 or values.max() > _MAX_16_BIT:
        raise ValueError(f"grey values from {values.min()} to {values.max()}; only 16-bit ones are understood")
    return Image.fromarray(((values + 128) // 257).astype(np.uint8))


def _from_float(image: Image.Image) -> Image.Image:
    values = np.asarray(image)
    if not (values.min() >= 0 and values.max() <= 1):  # false for NaN too
        raise ValueError(f"float pixels from {values.min():g} to {values.max():g}; they must be in [0, 1]")
    return Image.fromarray((values * 255).round().astype(np.uint8))


def _on_white(image: Image.Image) -> Image.Image:
    paper = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(paper, image).convert("RGB")
