"""Points of pictures, from pixels of the file to places in what the model is given."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from learnfleet.trainer.data_spec import ResizeMethod
from learnfleet.trainer.images import Window, upright_size
from learnfleet.trainer.resize import Resize, middle_of


class PointPlaces:
    """Where points of the pictures of one data set are. Safe to use from several threads.

    A picture's pixel (y, x) has its middle at (y, x), as it has where a dot is drawn on it, and its corners half a
    pixel further.
    """

    def __init__(self, root: Path, resize: Resize) -> None:
        self._root, self._resize = root, resize
        self._sizes: dict[Path, tuple[int, int]] = {}

    def size_of(self, path: Path) -> tuple[int, int]:
        """(rows, columns) of the upright picture in the file. Raises BadImage."""
        found = self._sizes.get(path)
        if found is None:
            found = self._sizes[path] = upright_size(path, root=self._root)
        return found

    def placed(self, path: Path, points: Tensor, shape: tuple[int, int], window: Window) -> Tensor:
        """Points of the file, float64 [K, 2] of (y, x) in pixels, in a window of the prepared picture: float32 [K, 2]
        of (y, x), -1 and 1 being the middles of the outermost pixels.

        Args:
            shape: rows and columns of the prepared picture.
        """
        resize, (top, left, rows, columns) = self._resize, window
        corners = self._prepared(points + 0.5, self.size_of(path), shape)
        wanted = (rows, columns) if resize.method is ResizeMethod.NO else (resize.rows, resize.columns)
        corners = (corners - _pair(top, left)) * (_pair(*wanted) / _pair(rows, columns))
        return scaled_to_unit(corners - 0.5, wanted).float()

    def _prepared(self, corners: Tensor, size: tuple[int, int], shape: tuple[int, int]) -> Tensor:
        """What `Resize.prepare` does to distances from the upper left corner of a picture of `size`."""
        method = self._resize.method
        if method is ResizeMethod.NO:
            return corners
        if method is ResizeMethod.SQUISH:
            return corners * (_pair(*shape) / _pair(*size))
        if method is ResizeMethod.PAD:
            top, left, rows, columns = self._resize.inner_of(*size)
            return corners * (_pair(rows, columns) / _pair(*size)) + _pair(top, left)
        top, left, rows, columns = middle_of(*size)
        return (corners - _pair(top, left)) * (_pair(*shape) / _pair(rows, columns))


def _pair(y: float, x: float) -> Tensor:
    return torch.tensor([y, x], dtype=torch.float64)


def scaled_to_unit(points: Tensor, size: tuple[int, int]) -> Tensor:
    """Pixels (y, x) of a picture of (rows, columns) as places in [-1, 1], [..., 2]."""
    return points * (2 / (_pair(*size) - 1).clamp_min(1)).to(points.dtype) - 1


def scaled_to_pixels(points: Tensor, size: tuple[int, int]) -> Tensor:
    """The inverse of `scaled_to_unit`."""
    return (points + 1) * ((_pair(*size) - 1).clamp_min(1) / 2).to(points.dtype)
