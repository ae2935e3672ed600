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
from learnfleet.trainer.images import BadImage, decode_indices
from learnfleet.trainer.resize import Resize


class MaskStore:
    """The masks of one data set, by path. Safe to use from several threads.

    A mask is resized as its picture is, but each pixel takes the class of its nearest one. A value that is no class
    raises LearnerError: the 0 and 255 of a black and white picture are not the classes 0 and 1.
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
        values = decode_indices(path, root=self._root)
        greatest = int(values.max(initial=0))
        if greatest >= len(self._classes):
            raise LearnerError(
                "data.masks", f"{path.name} has pixels of value {greatest}, but there are {len(self._classes)} classes"
            )
        mask = torch.from_numpy(self._resized(path, values, shape)).unsqueeze(0)
        with self._lock:
            if mask.nbytes <= self._bytes_left and path not in self._kept:
                self._kept[path] = mask
                self._bytes_left -= mask.nbytes
        return mask

    def _resized(self, path: Path, values: npt.NDArray[np.uint8], shape: tuple[int, int]) -> npt.NDArray[np.uint8]:
        image = Image.fromarray(values)
        resize = self._resize
        if resize.method is ResizeMethod.NO:
            if values.shape != shape:
                raise BadImage(path, f"the mask has {values.shape} pixels, its picture {shape}")
            return values
        if resize.method is ResizeMethod.PAD:
            return resize.padded(image, Image.Resampling.NEAREST)
        if resize.method is ResizeMethod.CROP:
            image = resize.without_ends(image)
        return np.array(image.resize((shape[1], shape[0]), Image.Resampling.NEAREST))
