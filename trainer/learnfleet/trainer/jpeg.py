"""JPEG files by libjpeg-turbo itself, to NumPy at once: a third less time than by Pillow. Imports no torch.

What comes out is what Pillow makes of the same file at the same scale, bit for bit. Wherever the decoder finds
anything amiss it leaves the file to Pillow, which then has the say whether it can be used.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

try:
    import simplejpeg
except ImportError:  # no wheel for this platform
    simplejpeg = None

# The decoder also knows three, five, six and seven eighths. They take longer than decoding all and shrinking, as no
# vector instructions are written for them, and Pillow could not stand in.
REDUCTIONS = (8, 4, 2, 1)


def decode_jpeg(content: bytes, width: int, height: int, reduction: int = 1) -> npt.NDArray[np.uint8] | None:
    """Pixels as stored, before any EXIF turn: uint8 [rows, columns, 3]. None: leave it to Pillow.

    Args:
        content: a JPEG file of grey or coloured pixels, not of inks (CMYK).
        width, height: as its header says.
        reduction: 1, 2, 4 or 8: sides are divided by it, rounding up. The whole file is read and checked all the same.
    """
    if simplejpeg is None:
        return None
    rows, columns = -(-height // reduction), -(-width // reduction)
    try:
        pixels: npt.NDArray[np.uint8] = simplejpeg.decode_jpeg(
            content, "RGB", min_height=rows, min_width=columns, min_factor=reduction
        )
    except ValueError:  # also what a decoder only warns of, such as data that ends too soon
        return None
    return pixels if pixels.shape == (rows, columns, 3) else None


def reduction_for(width: int, height: int, least_width: float, least_height: float) -> int:
    """The largest reduction that leaves at least so many pixels each way; 1 where there are not so many."""
    room = min(width / max(least_width, 1), height / max(least_height, 1))
    return next((reduction for reduction in REDUCTIONS if reduction <= room), 1)
