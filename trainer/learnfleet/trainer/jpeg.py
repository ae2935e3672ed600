"""JPEG files by libjpeg-turbo itself, to NumPy at once: a third less time than by Pillow. Imports no torch.

What comes out is what Pillow makes of the same file at the same scale, bit for bit. Wherever the decoder finds
anything amiss it leaves the file to Pillow, which then has the say whether it can be used.
"""

from __future__ import annotations

import struct
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

Pixels: TypeAlias = npt.NDArray[np.uint8]

try:
    import simplejpeg
except ImportError:  # no wheel for this platform
    simplejpeg = None

# The decoder also knows three, five, six and seven eighths. They take longer than decoding all and shrinking, as no
# vector instructions are written for them, and Pillow could not stand in.
REDUCTIONS = (8, 4, 2, 1)
# Rows below those that are wanted: colours are smoothed over neighbouring rows, and the last of a picture has none.
_MARGIN = 32
_JFIF, _SCAN, _BASELINE, _TABLES, _COMMENT = 0xE0, 0xDA, (0xC0, 0xC1), (0xDB, 0xC4, 0xDD), 0xFE
_FRAME = struct.Struct(">BHHB")


class PlainHeader(NamedTuple):
    """Of a file that can be decoded without opening it by Pillow first."""

    width: int
    height: int
    place: int  # of the height in the file: two bytes


def decode_jpeg(content: bytes, width: int, height: int, reduction: int = 1) -> Pixels | None:
    """Pixels as stored, before any EXIF turn: uint8 [rows, columns, 3]. None: leave it to Pillow.

    Args:
        content: a JPEG file of grey or coloured pixels, not of inks (CMYK).
        width, height: as its header says.
        reduction: 1, 2, 4 or 8: sides are divided by it, rounding up. The whole file is read and checked all the same.
    """
    return _decoded(content, width, height, reduction, strict=True)


def decode_top(content: bytes, header: PlainHeader, reduction: int, rows: int) -> Pixels | None:
    """As `decode_jpeg`, but only that many rows of the picture and a few more, which may not be right.

    Nothing is found out about the rest of the file: it must have been decoded once before. JPEG data are one stream
    from top to bottom; here the decoder is told of a lower picture, and stops there.
    """
    height = rows + _MARGIN
    if height >= header.height:
        return decode_jpeg(content, header.width, header.height, reduction)
    lower = content[: header.place] + height.to_bytes(2, "big") + content[header.place + 2 :]
    return _decoded(lower, header.width, height, reduction, strict=False)


def _decoded(content: bytes, width: int, height: int, reduction: int, *, strict: bool) -> Pixels | None:
    if simplejpeg is None:
        return None
    rows, columns = -(-height // reduction), -(-width // reduction)
    try:
        pixels: Pixels = simplejpeg.decode_jpeg(
            content, "RGB", min_height=rows, min_width=columns, min_factor=reduction, strict=strict
        )
    except ValueError:  # if strict, also what a decoder only warns of, such as data that ends too soon
        return None
    return pixels if pixels.shape == (rows, columns, 3) else None


def plain_header(content: bytes) -> PlainHeader | None:
    """The header of a JFIF file with nothing out of the ordinary in it: baseline, 8 bits, grey or of three colours, no
    EXIF, no profile. None: have it opened by Pillow, which for a small picture takes longer than decoding.
    """
    if content[:2] != b"\xff\xd8":
        return None
    place, header = 2, None
    while place + 4 <= len(content) and content[place] == 0xFF:
        marker, length = content[place + 1], int.from_bytes(content[place + 2 : place + 4], "big")
        if marker == _SCAN:
            return header
        if marker in _BASELINE and header is None and length >= 8 and place + 10 <= len(content):
            bits, height, width, colours = _FRAME.unpack_from(content, place + 4)
            header = PlainHeader(width, height, place + 5)
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
