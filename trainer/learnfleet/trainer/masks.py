"""Masks: pictures whose pixel values are classes."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from learnfleet.trainer.data_spec import ResizeMethod
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.mask_files import read_mask
from learnfleet.trainer.resize import Resize, without_ends


class MaskStore:
    """The masks of one data set, by path. Safe to use from several threads.

    A mask is resized as its picture is, but each pixel takes the class of its nearest one.
    """

    def __init__(self, root: Path, resize: Resize, classes: tuple[str, ...], cache_bytes: int) -> None:
        self._root, self._resize, self._classes, self._bytes_left = root, resize, classes, cache_bytes
        self._kept: dict[Path, Tensor] = {}
        self._lock = threading.Lock()

    def mask(self, path: Path, shape: tuple[int, int]) -> Tensor:
        """Uint8 [1, rows, columns] of the prepared picture's shape. Raises BadImage or LearnerError."""
        kept = self._kept.get(path)
        if kept is not None:
            return kept
        values = read_mask(path, self._root, len(self._classes))
        mask = torch.from_numpy(self._resized(path, values, shape)).unsqueeze(0)
        with self._lock:
            if mask.nbytes <= self._bytes_left and path not in self._kept:
                self._kept[path] = mask
                self._bytes_left -= mask.nbytes
        return mask

    def _resized(self, path: Path, values: npt.NDArray[np.uint8], shape: tuple[int, int]) -> npt.NDArray[np.uint8]:
        resize = self._resize
        if resize.method is ResizeMethod.NO:
            if values.shape != shape:
                raise of_another_shape("data.masks", path, values.shape, shape)
            return values
        if resize.method is ResizeMethod.PAD:
            return resize.padded(values, _nearest)
        if resize.method is ResizeMethod.CROP:
            middle = without_ends(values)
            if not is_alike(middle.shape, shape):
                raise of_another_shape("data.masks", path, values.shape, shape)
            return _nearest(middle, *shape)
        return _nearest(values, *shape)


def _nearest(values: npt.NDArray[np.uint8], rows: int, columns: int) -> npt.NDArray[np.uint8]:
    return np.array(Image.fromarray(values).resize((columns, rows), Image.Resampling.NEAREST))


def is_alike(target: tuple[int, ...], picture: tuple[int, int]) -> bool:
    """Whether a target has the aspect ratio of a scaled picture, give or take the rounding of its sides."""
    scale = max(picture[0] / target[0], picture[1] / target[1])
    return all(abs(side * scale - wanted) <= 2 + 0.02 * wanted for side, wanted in zip(target, picture, strict=True))


def of_another_shape(field: str, path: Path, target: tuple[int, ...], picture: tuple[int, int]) -> LearnerError:
    found, wanted = (f"{rows} x {columns}" for rows, columns in (target, picture))
    return LearnerError(field, f"{path.name} has {found} pixels (rows x columns), its picture {wanted}")
