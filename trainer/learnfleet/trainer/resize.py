"""How a picture of any shape becomes `rows` x `columns` pixels (fastai's resize methods)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from learnfleet.trainer.images import Source, decode_image
from learnfleet.trainer.spec import ResizeMethod

CENTRE = 0.5
# A JPEG is decoded at a reduced scale only if 1.5 times the wanted pixels are left: the result then differs from that
# of a full decode by noise (PSNR above 40 dB on photos at 64 and 128 px), at a gap of 1.0 it is visibly softer.
_DECODE_GAP = 1.5
# Without a bound, scaling the short side of a picture of 1 x 4000 pixels to 224 would make 200 megapixels.
_MAX_ASPECT = 8


@dataclass(frozen=True)
class Resize:
    """Size in pixels and method. `prepare` is the slow part, done once a picture; `crop` is done anew every epoch."""

    rows: int
    columns: int
    method: ResizeMethod = ResizeMethod.CROP

    def prepare(self, source: Source, root: Path | None = None) -> Tensor:
        """Decode and shrink, antialiased: uint8 [3, H, W].

        CROP: covers rows x columns, one side fits; of a picture more than 8 times as long as broad only the middle.
        PAD: exactly rows x columns, the short side filled up by reflection. SQUISH: exactly rows x columns.

        Raises BadImage.
        """
        image = decode_image(source, min_side=math.ceil(_DECODE_GAP * max(self.rows, self.columns)), root=root)
        if self.method is ResizeMethod.SQUISH:
            return _planes(self._scaled(image, self.rows, self.columns))
        if self.method is ResizeMethod.PAD:
            return _planes(self._padded(image))
        return _planes(self._covering(image))

    def crop(self, picture: Tensor, row_pct: float = CENTRE, column_pct: float = CENTRE) -> Tensor:
        """The window of `picture` at the given shares (in [0, 1)) of its free play, a view uint8 [3, rows, columns]."""
        top = int((picture.shape[1] - self.rows + 1) * row_pct)
        left = int((picture.shape[2] - self.columns + 1) * column_pct)
        return picture[:, top : top + self.rows, left : left + self.columns]

    def _covering(self, image: Image.Image) -> npt.NDArray[np.uint8]:
        width = min(image.width, image.height * _MAX_ASPECT)
        height = min(image.height, image.width * _MAX_ASPECT)
        if (width, height) != image.size:
            left, top = (image.width - width) // 2, (image.height - height) // 2
            image = image.crop((left, top, left + width, top + height))
        scale = max(self.rows / height, self.columns / width)
        return self._scaled(image, max(self.rows, round(height * scale)), max(self.columns, round(width * scale)))

    def _padded(self, image: Image.Image) -> npt.NDArray[np.uint8]:
        scale = min(self.rows / image.height, self.columns / image.width)
        rows = min(self.rows, max(1, round(image.height * scale)))
        columns = min(self.columns, max(1, round(image.width * scale)))
        top, left = (self.rows - rows) // 2, (self.columns - columns) // 2
        margins = ((top, self.rows - rows - top), (left, self.columns - columns - left), (0, 0))
        return np.pad(self._scaled(image, rows, columns), margins, mode="reflect")

    @staticmethod
    def _scaled(image: Image.Image, rows: int, columns: int) -> npt.NDArray[np.uint8]:
        return np.asarray(image.resize((columns, rows), Image.Resampling.BILINEAR))


def _planes(pixels: npt.NDArray[np.uint8]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))
