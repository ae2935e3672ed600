"""JPEG files by libjpeg-turbo itself, to NumPy at once: a third less time than by Pillow. Imports no torch.

What comes out is what Pillow makes of the same file at the same scale, bit for bit. Wherever the decoder finds
anything amiss it leaves the file to Pillow, which then has the say whether it can be used.
"""

from __future__ import annotations

import struct

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


_START, _JFIF, _SCAN, _BASELINE, _TABLES, _COMMENT = 0xD8, 0xE0, 0xDA, (0xC0, 0xC1), (0xDB, 0xC4, 0xDD), 0xFE
_FRAME = struct.Struct(">BHHB")


def plain_size(content: bytes) -> tuple[int, int] | None:
    """(width, height) of a JFIF file with nothing out of the ordinary in its header: baseline, 8 bits, grey or of three
    colours, no EXIF, no profile. None: have it opened by Pillow, which for a small picture takes longer than decoding.
    """
    if content[:2] != b"\xff\xd8":
        return None
    place, size = 2, None
    while place + 4 <= len(content) and content[place] == 0xFF:
        marker, length = content[place + 1], int.from_bytes(content[place + 2 : place + 4])
        if marker == _SCAN:
            return size
        if marker in _BASELINE and size is None and length >= 8 and place + 10 <= len(content):
            bits, height, width, colours = _FRAME.unpack_from(content, place + 4)
            size = (width, height)
            if bits != 8 or colours not in (1, 3) or not width or not height:
                return None
        elif not (marker in (*_TABLES, _COMMENT) or (marker == _JFIF and length >= 16 and place == 2)):
            return None
        place += 2 + length
    return None


def reduction_for(width: int, height: int, least_width: float, least_height: float) -> int:
    """The largest reduction that leaves at least so many pixels each way; 1 where there are not so many."""
    room = min(width / max(least_width, 1), height / max(least_height, 1))
    return next((reduction for reduction in REDUCTIONS if reduction <= room), 1)
