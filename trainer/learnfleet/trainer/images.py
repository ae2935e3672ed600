"""Picture files that somebody else made: checked, then decoded to 8-bit RGB.

Importing this loads Pillow and NumPy but not torch, so that the control server can check pictures.
"""

from __future__ import annotations

import errno
import io
import os
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from learnfleet.trainer.color import to_rgb
from learnfleet.trainer.files import FolderReader, RefusedFile, read_file
from learnfleet.trainer.jpeg import Pixels, PlainHeader, decode_jpeg, decode_top, plain_header, reduction_for

if TYPE_CHECKING:
    from torch import Tensor

Source: TypeAlias = Path | bytes
Root: TypeAlias = Path | FolderReader | None
Window: TypeAlias = tuple[int, int, int, int]  # top, left, rows, columns in pixels
Chooser: TypeAlias = Callable[[tuple[int, int]], Window]  # of a picture of (rows, columns)

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "JPEG2000")
MAX_BYTES = 32 * 2**20
MAX_PIXELS = 25_000_000
# A baseline JPEG is decoded straight to a smaller size, so that a larger one costs no more memory. Must stay below
# Pillow's own warning limit (89 MP).
MAX_REDUCED_JPEG_PIXELS = 85_000_000

_EXIF_ORIENTATION = 0x0112
# What is to be done to an array [rows, columns, ...] so that the picture stands upright.
_TURNS: dict[int, Callable[[Pixels], Pixels]] = {
    1: lambda pixels: pixels,
    2: lambda pixels: pixels[:, ::-1],
    3: lambda pixels: pixels[::-1, ::-1],
    4: lambda pixels: pixels[::-1],
    5: lambda pixels: pixels.swapaxes(0, 1),
    6: lambda pixels: pixels[::-1].swapaxes(0, 1),
    7: lambda pixels: pixels[::-1, ::-1].swapaxes(0, 1),
    8: lambda pixels: pixels[:, ::-1].swapaxes(0, 1),
}
_EXCHANGING = (5, 6, 7, 8)
_JPEGS = ("JPEG", "MPO")
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
        _check_pixels(image.size, MAX_REDUCED_JPEG_PIXELS if _can_reduce(image) else MAX_PIXELS)
        return image.size


def upright_size(source: Source, *, root: Root = None) -> tuple[int, int]:
    """(rows, columns) of the picture that `decode_pixels` gives at full scale. Of a JPEG the header alone is read.

    Raises BadImage.
    """
    with _blaming(source), _open(_read(source, root)) as image:
        if image.format not in _JPEGS:
            _check_pixels(image.size, MAX_PIXELS)
            image.load()  # before the EXIF, see `_by_pillow`
        width, height = image.size
        return (width, height) if _orientation(image) in _EXCHANGING else (height, width)


def decode_image(source: Source, *, min_side: int | None = None, root: Path | None = None) -> Image.Image:
    """As `decode_pixels`, for Pillow."""
    return Image.fromarray(decode_pixels(source, min_side=min_side, root=root))


def decode_pixels(source: Source, *, min_side: int | None = None, root: Root = None) -> Pixels:
    """The whole picture (of an animation: its first frame), upright, as 8-bit RGB [rows, columns, 3].

    Args:
        min_side: the picture may be decoded at a reduced scale (JPEG: 1/2, 1/4 or 1/8) as long as its short side
            keeps this many pixels. None: full scale.
        root: see `read_file`; or a reader of its files. Not used for bytes.

    Raises BadImage for whatever is wrong with the picture or its file, OSError for what is wrong with the machine.
    """
    with _blaming(source):
        content = _read(source, root)
        header = _plain_header(content)
        if header is not None:
            size = (header.width, header.height)
            pixels = decode_jpeg(content, *size, _reduction(size, min_side))
            if pixels is not None:
                return pixels
        with _open(content) as image:
            can_reduce = min_side is not None and _can_reduce(image)
            _check_pixels(image.size, MAX_REDUCED_JPEG_PIXELS if can_reduce else MAX_PIXELS)
            return _upright(content, image, _reduction(image.size, min_side) if can_reduce else 1)


def decode_window(
    source: Source,
    choose: Chooser,
    least: tuple[int, int],
    *,
    root: Root = None,
    sound: MutableMapping[Source, int] | None = None,
) -> Pixels:
    """A part of the picture, as `decode_pixels`: a view.

    A JPEG is decoded at the smallest scale at which the part has `least` pixels (rows, columns), and its edges are then
    rounded outwards to whole pixels of that scale. The whole file is read all the same, so that a broken one is found
    whatever part is wanted of it; but of those in `sound` no more than is needed.

    Args:
        choose: (top, left, rows, columns) of the part in the upright picture of (rows, columns). May be asked twice.
        sound: length of files that have been decoded whole; others are entered. The pixels are the same either way.
    """
    with _blaming(source):
        content = _read(source, root)
        header = _plain_header(content)
        if header is not None:
            window = choose((header.height, header.width))
            reduction = reduction_for(window[3], window[2], least[1], least[0])
            if sound is not None and sound.get(source) == len(content):
                pixels = decode_top(content, header, reduction, window[0] + window[2])
            else:
                pixels = decode_jpeg(content, header.width, header.height, reduction)
            if pixels is not None:
                if sound is not None:
                    sound[source] = len(content)
                return _cut(pixels, window, reduction)
        with _open(content) as image:
            return _window_of(content, image, choose, least)


def _window_of(content: bytes, image: Image.Image, choose: Chooser, least: tuple[int, int]) -> Pixels:
    if not _can_reduce(image):
        pixels = _upright(content, image, 1)
        return _cut(pixels, choose((pixels.shape[0], pixels.shape[1])), 1)
    _check_pixels(image.size, MAX_REDUCED_JPEG_PIXELS)
    turned = _orientation(image) in _EXCHANGING
    window = choose(image.size if turned else image.size[::-1])
    reduction = max(reduction_for(window[3], window[2], least[1], least[0]), _least_reduction(image.size))
    return _cut(_upright(content, image, reduction), window, reduction)


def _plain_header(content: bytes) -> PlainHeader | None:
    """Of what can be decoded without opening it first."""
    header = plain_header(content)
    return header if header is not None and header.width * header.height <= MAX_PIXELS else None


def _reduction(size: tuple[int, int], min_side: int | None) -> int:
    return 1 if min_side is None else reduction_for(min(size), min(size), min_side, min_side)


def _least_reduction(size: tuple[int, int]) -> int:
    """Below which a JPEG of this size would have too many pixels."""
    return 1 if size[0] * size[1] <= MAX_PIXELS else 2


def _cut(pixels: Pixels, window: Window, reduction: int) -> Pixels:
    top, left, rows, columns = window
    bottom, right = -(-(top + rows) // reduction), -(-(left + columns) // reduction)
    return pixels[top // reduction : bottom, left // reduction : right]


def _upright(content: bytes, image: Image.Image, reduction: int) -> Pixels:
    """Decode. Reductions other than 1 are of those pictures that can be reduced."""
    if image.format in _JPEGS and image.mode in ("RGB", "L"):
        width, height = (-(-side // reduction) for side in image.size)
        _check_pixels((width, height), MAX_PIXELS)
        pixels = decode_jpeg(content, *image.size, reduction)
        if pixels is not None:
            return np.ascontiguousarray(_TURNS[_orientation(image)](pixels))
    return _by_pillow(image, reduction)


def _by_pillow(image: Image.Image, reduction: int) -> Pixels:
    if reduction > 1:
        image.draft(None, (image.width // reduction, image.height // reduction))
    _check_pixels(image.size, MAX_PIXELS)
    image.load()  # before the EXIF: reading that of a PNG decodes the file, and would swallow its errors
    return np.ascontiguousarray(_TURNS[_orientation(image)](np.array(to_rgb(image))))


def decode_indices(source: Source, *, root: Path | None = None) -> npt.NDArray[np.uint8]:
    """A picture whose pixels are numbers (a mask) as uint8 [H, W]: palette indices and grey values as they stand.

    Raises BadImage, also for colours, of which no number is known.
    """
    with _blaming(source), _open(_read(source, root)) as image:
        _check_pixels(image.size, MAX_PIXELS)
        image.load()
        if image.mode not in ("L", "P", "1"):
            raise RefusedFile(f"a mask must have one number a pixel (mode L or P), not {image.mode}")
        values = image if image.mode != "1" else image.convert("L").point(lambda value: value // 255)
        return np.ascontiguousarray(_TURNS[_orientation(image)](np.array(values, dtype=np.uint8)))


def open_image(source: Source, *, min_side: int | None = None, root: Path | None = None) -> Tensor:
    """As `decode_pixels`, as uint8 [3, H, W]."""
    import torch

    return torch.from_numpy(decode_pixels(source, min_side=min_side, root=root)).permute(2, 0, 1).contiguous()


def _read(source: Source, root: Root) -> bytes:
    if not isinstance(source, bytes):
        return root.read(source, MAX_BYTES) if isinstance(root, FolderReader) else read_file(source, MAX_BYTES, root)
    if len(source) > MAX_BYTES:
        raise RefusedFile(f"{len(source):,} bytes; the limit is {MAX_BYTES:,}")
    return source


def _open(content: bytes) -> Image.Image:
    if not content:
        raise RefusedFile("an empty file")
    return Image.open(io.BytesIO(content), formats=FORMATS)


def _can_reduce(image: Image.Image) -> bool:
    # A progressive JPEG keeps all coefficients in memory whatever the scale.
    return image.format in _JPEGS and not image.info.get("progressive")


def _check_pixels(size: tuple[int, int], limit: int) -> None:
    width, height = size
    if width * height > limit:
        raise RefusedFile(f"{width} x {height} pixels; the limit is {limit:,} in all")


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1 to 8."""
    try:
        value = int(image.getexif().get(_EXIF_ORIENTATION, 1))
    except Exception:  # broken EXIF takes many forms and says nothing about the pixels
        return 1
    return value if value in _TURNS else 1


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
