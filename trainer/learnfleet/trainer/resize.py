"""How a picture of any shape becomes `rows` x `columns` pixels (fastai's resize methods)."""

from __future__ import annotations

import math
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from learnfleet.trainer.data_spec import PaddingMode, ResizeMethod
from learnfleet.trainer.images import Chooser, Root, Source, Window, decode_pixels, decode_window
from learnfleet.trainer.jpeg import Pixels

Scaler: TypeAlias = Callable[[Pixels, int, int], Pixels]  # to so many rows and columns
CENTRE = 0.5
# A JPEG is decoded at a reduced scale only if 1.5 times the wanted pixels are left: the result then differs from that
# of a full decode by noise (PSNR above 40 dB on photos at 64 and 128 px), at a gap of 1.0 it is visibly softer.
_DECODE_GAP = 1.5
# Pictures that windows are cut from are not shrunk for less: it would cost more than it saves.
_SHRINK_GAP = 1.5
# Without a bound, scaling the short side of a picture of 1 x 4000 pixels to 224 would make 200 megapixels.
_MAX_ASPECT = 8
_PAD_MODES: dict[PaddingMode, Literal["reflect", "edge", "constant"]] = {
    "reflection": "reflect",
    "border": "edge",
    "zeros": "constant",
}


@dataclass(frozen=True)
class Resize:
    """Size in pixels and method. `prepare` is the slow part, done once a picture; `crop` is done anew every epoch."""

    rows: int
    columns: int
    method: ResizeMethod = ResizeMethod.CROP
    padding: PaddingMode = "reflection"
    kept_rows: int = 0  # of a prepared picture at least; 0: rows
    kept_columns: int = 0
    margin: int = 0  # pixels by which a prepared picture is larger each way, before its middle is taken

    def prepare(self, source: Source, root: Root = None) -> Tensor:
        """Decode and shrink, antialiased: uint8 [3, H, W], pixel by pixel in memory.

        CROP: covers rows x columns, one side fits; of a picture more than 8 times as long as broad only the middle.
        Of an oversized one at most that, see `oversized`. PAD: exactly rows x columns, the short side filled up by
        `padding`. SQUISH: exactly rows x columns. NO: as it is.

        Raises BadImage.
        """
        if self.method is ResizeMethod.NO:
            return _planes(decode_pixels(source, root=root))
        rows, columns = self._prepared
        gap = 1.0 if self.cuts_windows else _DECODE_GAP
        pixels = decode_pixels(source, min_side=math.ceil(gap * max(rows, columns)), root=root)
        if self.method is ResizeMethod.SQUISH:
            return _planes(scaled(pixels, rows, columns))
        if self.method is ResizeMethod.PAD:
            return _planes(self.padded(pixels))
        return _planes(self._covering(pixels, rows, columns))

    def draw(
        self, source: Source, choose: Chooser, root: Root = None, sound: MutableMapping[Source, int] | None = None
    ) -> Tensor:
        """The window that `choose` takes of a picture of (rows, columns), at the wanted size: uint8 [3, rows, columns].

        Nothing else is kept of the picture, so it is decoded at the scale that suits the window. `sound`: see
        `decode_window`.

        Raises BadImage.
        """
        pixels = decode_window(source, choose, (self.rows, self.columns), root=root, sound=sound)
        return self._fitted(_planes(pixels))

    @property
    def cuts_windows(self) -> bool:
        """Whether prepared pictures are of any size, for windows of any size to be cut from them."""
        return self.method is ResizeMethod.CROP and self.kept_rows > 0

    @property
    def bytes(self) -> int:
        """Of a prepared picture of the usual ratio of sides, 4 : 3."""
        rows, columns = self._prepared
        return rows * columns * 4

    @property
    def _prepared(self) -> tuple[int, int]:
        """Rows and columns that a prepared picture has at least."""
        rows, columns = self._kept
        return rows + self.margin, columns + self.margin

    def window(self, shape: tuple[int, int], row_pct: float, column_pct: float) -> Window:
        """The part of a picture of (rows, columns) that lies at the given shares (in [0, 1)) of its free play."""
        height, width = shape
        if self.method is ResizeMethod.NO:
            return 0, 0, height, width
        rows, columns = self._largest(height, width) if self.cuts_windows else self._kept
        return int((height - rows + 1) * row_pct), int((width - columns + 1) * column_pct), rows, columns

    @property
    def _kept(self) -> tuple[int, int]:
        return self.kept_rows or self.rows, self.kept_columns or self.columns

    def _largest(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns of the largest part with the wanted ratio of sides."""
        rows, columns = round(width * self.rows / self.columns), round(height * self.columns / self.rows)
        return max(1, min(rows, height)), max(1, min(columns, width))

    def cut(self, picture: Tensor, window: Window, mode: str = "bilinear") -> Tensor:
        """That part, uint8 [channels, rows, columns]; scaled, antialiased unless `mode` is "nearest", where it is of
        another size.
        """
        top, left, rows, columns = window
        part = picture[:, top : top + rows, left : left + columns]
        return part if self.method is ResizeMethod.NO else self._fitted(part, mode)

    def _fitted(self, part: Tensor, mode: str = "bilinear") -> Tensor:
        if part.shape[1:] == (self.rows, self.columns):
            return part
        if mode == "bilinear":
            return F.interpolate(part.unsqueeze(0), (self.rows, self.columns), mode=mode, antialias=True)[0]
        return F.interpolate(part.unsqueeze(0), (self.rows, self.columns), mode=mode)[0]

    def crop(self, picture: Tensor, row_pct: float = CENTRE, column_pct: float = CENTRE) -> Tensor:
        """The window of `picture` at the given shares (in [0, 1)) of its free play, a view uint8 [3, rows, columns]."""
        return self.cut(picture, self.window(_shape(picture), row_pct, column_pct))

    def oversized(self, factor: float) -> Resize:
        """As this, but what `prepare` gives is larger by `factor`. Under CROP that is the most: a smaller picture is
        not enlarged, as windows of any size are cut from it.
        """
        return replace(self, kept_rows=math.ceil(self.rows * factor), kept_columns=math.ceil(self.columns * factor))

    def _covering(self, pixels: Pixels, least_rows: int, least_columns: int) -> Pixels:
        pixels = without_ends(pixels)
        height, width = pixels.shape[:2]
        scale = max(least_rows / height, least_columns / width)
        if self.cuts_windows and scale > 1 / _SHRINK_GAP:
            return np.ascontiguousarray(pixels)  # a view would keep the whole in memory
        return scaled(pixels, max(least_rows, round(height * scale)), max(least_columns, round(width * scale)))

    def padded(self, pixels: Pixels, scale: Scaler | None = None) -> Pixels:
        """The whole picture in the middle of rows x columns."""
        all_rows, all_columns = self._prepared
        top, left, rows, columns = self.inner_of(pixels.shape[0], pixels.shape[1])
        inner = (scale or scaled)(pixels, rows, columns)
        margins = [(top, all_rows - rows - top), (left, all_columns - columns - left)] + [(0, 0)] * (inner.ndim - 2)
        return np.pad(inner, margins, mode=_PAD_MODES[self.padding])

    def inner_of(self, height: int, width: int) -> Window:
        """Where a picture of so many rows and columns lies in what `padded` makes of it."""
        all_rows, all_columns = self._prepared
        factor = min(all_rows / height, all_columns / width)
        rows = min(all_rows, max(1, round(height * factor)))
        columns = min(all_columns, max(1, round(width * factor)))
        return (all_rows - rows) // 2, (all_columns - columns) // 2, rows, columns


def _shape(picture: Tensor) -> tuple[int, int]:
    return picture.shape[1], picture.shape[2]


def without_ends(pixels: Pixels) -> Pixels:
    """The middle of a picture that is more than 8 times as long as broad; others as they are."""
    top, left, rows, columns = middle_of(pixels.shape[0], pixels.shape[1])
    return pixels[top : top + rows, left : left + columns]


def middle_of(height: int, width: int) -> Window:
    """What `without_ends` leaves of a picture of so many rows and columns."""
    rows, columns = min(height, width * _MAX_ASPECT), min(width, height * _MAX_ASPECT)
    return (height - rows) // 2, (width - columns) // 2, rows, columns


def scaled(pixels: Pixels, rows: int, columns: int) -> Pixels:
    """Bilinear and antialiased, uint8 [rows, columns, 3]: Pillow's method, give or take 1 by rounding, in a third of
    its time.
    """
    picture = _planes(pixels).unsqueeze(0)
    wanted = F.interpolate(picture, (rows, columns), mode="bilinear", antialias=True)[0]
    return np.ascontiguousarray(wanted.permute(1, 2, 0).numpy())


def _planes(pixels: Pixels) -> Tensor:
    """A view of [rows, columns, 3] as [3, rows, columns]: the order in memory that is fastest to scale."""
    return torch.from_numpy(pixels).permute(2, 0, 1)
