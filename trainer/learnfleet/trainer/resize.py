"""How a picture of any shape becomes `rows` x `columns` pixels (fastai's resize methods)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from learnfleet.trainer.data_spec import PaddingMode, ResizeMethod
from learnfleet.trainer.files import FolderReader
from learnfleet.trainer.images import Source, decode_image

Window: TypeAlias = tuple[int, int, int, int]  # top, left, rows, columns in pixels
Chooser: TypeAlias = "Callable[[tuple[int, int]], Window | None]"
CENTRE = 0.5
# A JPEG is decoded at a reduced scale only if 1.5 times the wanted pixels are left: the result then differs from that
# of a full decode by noise (PSNR above 40 dB on photos at 64 and 128 px), at a gap of 1.0 it is visibly softer.
_DECODE_GAP = 1.5
# Windows that are drawn anew every epoch: softer ones are noise among the augmentation.
_DRAW_GAP = 1.0
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

    def prepare(self, source: Source, root: Path | None = None, reader: FolderReader | None = None) -> Tensor:
        """Decode and shrink, antialiased: uint8 [3, H, W].

        CROP: covers rows x columns, one side fits; of a picture more than 8 times as long as broad only the middle.
        PAD: exactly rows x columns, the short side filled up by `padding`. SQUISH: exactly rows x columns. NO: as it
        is.

        Raises BadImage.
        """
        if self.method is ResizeMethod.NO:
            return _planes(np.array(decode_image(source, root=root, reader=reader)))
        rows, columns = self._prepared
        side = math.ceil(_DECODE_GAP * max(rows, columns))
        image = decode_image(source, min_side=side, root=root, reader=reader)
        if self.method is ResizeMethod.SQUISH:
            return _planes(self._scaled(image, rows, columns))
        if self.method is ResizeMethod.PAD:
            return _planes(self.padded(image))
        return _planes(self._covering(image, rows, columns))

    def draw(self, source: Source, choose: Chooser, reader: FolderReader | None = None) -> Tensor:
        """Decode no more than a window needs, and scale the window to rows x columns: uint8 [3, rows, columns].

        Args:
            choose: the window of a picture of (rows, columns); None takes the middle as CROP does.

        Raises BadImage.
        """
        chosen: list[tuple[Window, int, int]] = []

        def side(width: int, height: int) -> int:
            window = choose((height, width)) or self._middle(height, width)
            chosen.append((window, height, width))
            scale = max(self.rows / window[2], self.columns / window[3])
            return math.ceil(_DRAW_GAP * scale * min(height, width))

        image = decode_image(source, min_side=side, reader=reader)
        (top, left, rows, columns), height, width = chosen[0]
        if (height, width) != (image.height, image.width) and (height < width) != (image.height < image.width):
            top, left, rows, columns = self._middle(image.height, image.width)  # turned by an EXIF that came late
            height, width = image.height, image.width
        down, across = image.height / height, image.width / width
        box = (left * across, top * down, (left + columns) * across, (top + rows) * down)
        return _planes(np.asarray(image.resize((self.columns, self.rows), Image.Resampling.BILINEAR, box=box)))

    def _middle(self, height: int, width: int) -> Window:
        scale = min(height / self.rows, width / self.columns)
        rows, columns = max(1, int(self.rows * scale)), max(1, int(self.columns * scale))
        return (height - rows) // 2, (width - columns) // 2, rows, columns

    @property
    def _prepared(self) -> tuple[int, int]:
        """Rows and columns that a prepared picture has at least."""
        return (self.kept_rows or self.rows) + self.margin, (self.kept_columns or self.columns) + self.margin

    def window(self, picture: Tensor, row_pct: float, column_pct: float) -> Window:
        """The part of `picture` at the given shares (in [0, 1)) of its free play."""
        if self.method is ResizeMethod.NO:
            return 0, 0, picture.shape[1], picture.shape[2]
        rows, columns = self.kept_rows or self.rows, self.kept_columns or self.columns
        top = int((picture.shape[1] - rows + 1) * row_pct)
        left = int((picture.shape[2] - columns + 1) * column_pct)
        return top, left, rows, columns

    def cut(self, picture: Tensor, window: Window, mode: str = "bilinear") -> Tensor:
        """That part, uint8 [channels, rows, columns]; scaled, antialiased unless `mode` is "nearest", where it is of
        another size.
        """
        top, left, rows, columns = window
        part = picture[:, top : top + rows, left : left + columns]
        if self.method is ResizeMethod.NO or (rows, columns) == (self.rows, self.columns):
            return part
        smooth = {"antialias": True} if mode == "bilinear" else {}
        return F.interpolate(part.unsqueeze(0), (self.rows, self.columns), mode=mode, **smooth)[0]

    def crop(self, picture: Tensor, row_pct: float = CENTRE, column_pct: float = CENTRE) -> Tensor:
        """The window of `picture` at the given shares (in [0, 1)) of its free play, a view uint8 [3, rows, columns]."""
        return self.cut(picture, self.window(picture, row_pct, column_pct))

    def oversized(self, factor: float) -> Resize:
        """As this, but what `prepare` gives is larger by `factor`."""
        return replace(self, kept_rows=math.ceil(self.rows * factor), kept_columns=math.ceil(self.columns * factor))

    def _covering(self, image: Image.Image, least_rows: int, least_columns: int) -> npt.NDArray[np.uint8]:
        image = self.without_ends(image)
        scale = max(least_rows / image.height, least_columns / image.width)
        rows, columns = round(image.height * scale), round(image.width * scale)
        return self._scaled(image, max(least_rows, rows), max(least_columns, columns))

    @staticmethod
    def without_ends(image: Image.Image) -> Image.Image:
        """The middle of a picture that is more than 8 times as long as broad; others as they are."""
        width = min(image.width, image.height * _MAX_ASPECT)
        height = min(image.height, image.width * _MAX_ASPECT)
        if (width, height) == image.size:
            return image
        left, top = (image.width - width) // 2, (image.height - height) // 2
        return image.crop((left, top, left + width, top + height))

    def padded(
        self, image: Image.Image, resample: Image.Resampling = Image.Resampling.BILINEAR
    ) -> npt.NDArray[np.uint8]:
        """The whole picture in the middle of rows x columns."""
        all_rows, all_columns = self._prepared
        scale = min(all_rows / image.height, all_columns / image.width)
        rows = min(all_rows, max(1, round(image.height * scale)))
        columns = min(all_columns, max(1, round(image.width * scale)))
        top, left = (all_rows - rows) // 2, (all_columns - columns) // 2
        inner = np.asarray(image.resize((columns, rows), resample))
        margins = [(top, all_rows - rows - top), (left, all_columns - columns - left)] + [(0, 0)] * (inner.ndim - 2)
        return np.pad(inner, margins, mode=_PAD_MODES[self.padding])

    @staticmethod
    def _scaled(image: Image.Image, rows: int, columns: int) -> npt.NDArray[np.uint8]:
        return np.asarray(image.resize((columns, rows), Image.Resampling.BILINEAR))


def _planes(pixels: npt.NDArray[np.uint8]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))
