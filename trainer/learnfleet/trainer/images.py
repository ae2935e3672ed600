"""Picture files that somebody else made: checked, then decoded to 8-bit RGB.

Importing this loads Pillow and NumPy but not torch, so that the control server can check pictures.
"""

from __future__ import annotations

import errno
import io
import math
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt
import simplejpeg
from PIL import Image, UnidentifiedImageError

from learnfleet.trainer.color import to_rgb
from learnfleet.trainer.files import FolderReader, RefusedFile, read_file

if TYPE_CHECKING:
    from torch import Tensor

Source: TypeAlias = Path | bytes

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "JPEG2000")
MAX_BYTES = 32 * 2**20
MAX_PIXELS = 25_000_000
# A baseline JPEG is decoded straight to a smaller size, so that a larger one costs no more memory. Must stay below
# Pillow's own warning limit (89 MP).
MAX_REDUCED_JPEG_PIXELS = 85_000_000

_EXIF_ORIENTATION = 0x0112
_JPEG_START, _EXIF, _EXIF_WITHIN = b"\xff\xd8\xff", b"Exif\0\0", 2**17
_TURBO_SPACES = ("YCbCr", "Gray", "RGB")
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_LYING = (5, 6, 7, 8)  # turns that exchange width and height
# The file's own fault. Anything else (a disk error, too many open files) is the machine's: it must not pass for a
# broken picture, or a failing disk would thin out the data without a word.
_FILE_ERRNOS = (errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EACCES, errno.ELOOP, errno.ENAMETOOLONG, errno.ENXIO)


class BadImage(ValueError):
    """A picture that cannot be used. `path` is "<bytes>" for pictures that came without a file."""

    def __init__(self, path: Path | str, reason: str) -> None:
        super().__init__(f"{os.fspath(path)!r}: {reason}")
        self.path, self.reason = path, reason

    def __reduce__(self) -> tuple[type[BadImage], tuple[Path | str, str]]:
        return type(self), (self.path, self.reason)


def probe_image(source: Source, *, root: Path | None = None) -> tuple[int, int]:
    """(width, height) as stored, before any EXIF turn: the header is checked, no pixel is decoded. Raises BadImage."""
    with _blaming(source), _open(_read(source, root)) as image:
        _check_pixels(image, MAX_REDUCED_JPEG_PIXELS if _can_reduce(image) else MAX_PIXELS)
        return image.size


# Of a picture's upright width and height: pixels that its short side must keep.
SideOf: TypeAlias = "Callable[[int, int], int | None]"


def decode_image(
    source: Source,
    *,
    min_side: int | SideOf | None = None,
    root: Path | None = None,
    reader: FolderReader | None = None,
) -> Image.Image:
    """The whole picture (of an animation: its first frame), upright, as 8-bit RGB.

    Args:
        min_side: the picture may be decoded at a reduced scale (JPEG: 1/2, 1/4 or 1/8) as long as its short side
            keeps this many pixels; also as a function of its width and height. None: full scale.
        root: see `read_file`. Not used for bytes.
        reader: of the root's files, instead of it.

    Raises BadImage for whatever is wrong with the picture or its file, OSError for what is wrong with the machine.
    """
    content = _read_blaming(source, root, reader)
    plain = _plain_jpeg(content, min_side)
    if plain is not None:
        return plain
    with _blaming(source), _open(content) as image:
        turn = _jpeg_turn(image)
        min_side = _side(image, min_side)
        pixels = _fast_pixels(image, content, min_side) if turn is not None else None
        if pixels is not None:
            upright = Image.fromarray(pixels)
        else:
            _reduce(image, min_side)
            _check_pixels(image, MAX_PIXELS)
            image.load()  # before the EXIF: reading that of a PNG decodes the file, and would swallow its errors
            upright, turn = to_rgb(image), _orientation(image)
        transpose = _TURNS.get(turn or 1)
        return upright if transpose is None else upright.transpose(transpose)


def _plain_jpeg(content: bytes, min_side: int | SideOf | None) -> Image.Image | None:
    """A JPEG of ordinary size, upright and without CMYK, read by libjpeg-turbo alone: opening it by Pillow takes a
    quarter of the whole time. None for everything else, and for what has anything amiss.
    """
    if not content.startswith(_JPEG_START) or content.find(_EXIF, 0, _EXIF_WITHIN) >= 0:
        return None
    try:
        height, width, space, _ = simplejpeg.decode_jpeg_header(content)
        if space not in _TURBO_SPACES or not 0 < height * width <= MAX_PIXELS:
            return None
        side = min_side(width, height) if callable(min_side) else min_side
        factor = _factor(width, height, side)
        rows, columns = (-(-length // factor) if factor > 1 else 0 for length in (height, width))
        return Image.fromarray(simplejpeg.decode_jpeg(content, "RGB", min_height=rows, min_width=columns))
    except ValueError:
        return None


def _factor(width: int, height: int, min_side: int | None) -> int:
    """By what a JPEG may be reduced. Other eighths are possible, but not by vector instructions: 6/8 takes longer than
    the whole picture.
    """
    return 1 if min_side is None else next((f for f in (8, 4, 2) if min(width, height) >= f * min_side), 1)


def _side(image: Image.Image, min_side: int | SideOf | None) -> int | None:
    if not callable(min_side):
        return min_side
    # Only a JPEG's EXIF may be read before the picture is; others are not decoded at a reduced scale anyway.
    is_lying = image.format in ("JPEG", "MPO") and _orientation(image) in _LYING
    width, height = (image.height, image.width) if is_lying else image.size
    return min_side(width, height)


def _read_blaming(source: Source, root: Path | None, reader: FolderReader | None) -> bytes:
    with _blaming(source):
        if reader is not None and not isinstance(source, bytes):
            return reader.read(source, MAX_BYTES)
        return _read(source, root)


def _jpeg_turn(image: Image.Image) -> int | None:
    """The EXIF orientation of a JPEG of grey or RGB pixels; None for other pictures."""
    return _orientation(image) if image.format in ("JPEG", "MPO") and image.mode in ("RGB", "L") else None


def _fast_pixels(image: Image.Image, content: bytes, min_side: int | None) -> npt.NDArray[np.uint8] | None:
    """RGB pixels [H, W, 3] by libjpeg-turbo, decoded at full scale or at 1/2, 1/4 or 1/8.

    None where it finds anything amiss: Pillow then says whether the file can be used.
    """
    factor = _factor(*image.size, min_side)
    _check_pixels(image, MAX_REDUCED_JPEG_PIXELS if factor > 1 and _can_reduce(image) else MAX_PIXELS)
    height, width = (-(-side // factor) if factor > 1 else 0 for side in (image.height, image.width))
    try:
        pixels: npt.NDArray[np.uint8] = simplejpeg.decode_jpeg(content, "RGB", min_height=height, min_width=width)
    except ValueError:
        return None
    _check_decoded(pixels)
    return pixels


def _check_decoded(pixels: npt.NDArray[np.uint8]) -> None:
    rows, columns = pixels.shape[:2]
    if rows * columns > MAX_PIXELS:
        raise RefusedFile(f"{columns} x {rows} pixels; the limit is {MAX_PIXELS:,} in all")


def decode_indices(source: Source, *, root: Path | None = None) -> npt.NDArray[np.uint8]:
    """A picture whose pixels are numbers (a mask) as uint8 [H, W]: palette indices and grey values as they stand.

    Raises BadImage, also for colours, of which no number is known.
    """
    with _blaming(source), _open(_read(source, root)) as image:
        _check_pixels(image, MAX_PIXELS)
        image.load()
        if image.mode not in ("L", "P", "1"):
            raise RefusedFile(f"a mask must have one number a pixel (mode L or P), not {image.mode}")
        values = image if image.mode != "1" else image.convert("L").point(lambda value: value // 255)
        turn = _TURNS.get(_orientation(image))
        return np.array(values if turn is None else values.transpose(turn), dtype=np.uint8)


def open_image(source: Source, *, min_side: int | None = None, root: Path | None = None) -> Tensor:
    """As `decode_image`, as uint8 [3, H, W]."""
    import torch

    pixels = np.array(decode_image(source, min_side=min_side, root=root))
    return torch.from_numpy(pixels).permute(2, 0, 1).contiguous()


def _read(source: Source, root: Path | None) -> bytes:
    if not isinstance(source, bytes):
        return read_file(source, MAX_BYTES, root)
    if len(source) > MAX_BYTES:
        raise RefusedFile(f"{len(source):,} bytes; the limit is {MAX_BYTES:,}")
    return source


def _open(content: bytes) -> Image.Image:
    if not content:
        raise RefusedFile("an empty file")
    return Image.open(io.BytesIO(content), formats=FORMATS)


def _can_reduce(image: Image.Image) -> bool:
    # A progressive JPEG keeps all coefficients in memory whatever the scale.
    return image.format in ("JPEG", "MPO") and not image.info.get("progressive")


def _reduce(image: Image.Image, min_side: int | None) -> None:
    if min_side is None or not _can_reduce(image):
        return
    _check_pixels(image, MAX_REDUCED_JPEG_PIXELS)
    scale = min_side / min(image.size)
    image.draft(None, (math.ceil(image.width * scale), math.ceil(image.height * scale)))


def _check_pixels(image: Image.Image, limit: int) -> None:
    width, height = image.size
    if width * height > limit:
        raise RefusedFile(f"{width} x {height} pixels; the limit is {limit:,} in all")


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(_EXIF_ORIENTATION, 1))
    except Exception:  # broken EXIF takes many forms and says nothing about the pixels
        return 1


@contextmanager
def _blaming(source: Source) -> Iterator[None]:
    """Turn whatever Pillow raises into a BadImage. What the machine is to blame for passes unchanged."""
    try:
        yield
    except Exception as error:
        if _is_machine_error(error):
            raise
        raise BadImage("<bytes>" if isinstance(source, bytes) else source, _reason(error)) from error


def _is_machine_error(error: Exception) -> bool:
    if isinstance(error, OSError):
        return error.errno is not None and error.errno not in _FILE_ERRNOS
    return isinstance(error, MemoryError)


def _reason(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        return f"not a picture of a known format ({', '.join(FORMATS)})"
    if isinstance(error, OSError) and error.errno is not None:
        return f"cannot be opened: {error.strerror}"
    return " ".join(str(error).split()) or type(error).__name__
