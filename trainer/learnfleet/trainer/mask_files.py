"""Mask files: pictures whose pixel values are classes. Imports no torch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.images import decode_indices


def read_mask(path: Path, root: Path, n_classes: int) -> npt.NDArray[np.uint8]:
    """The class of each pixel, uint8 [H, W].

    Raises BadImage for a broken file, and LearnerError for a value that is no class: the 0 and 255 of a black and white
    picture are not the classes 0 and 1.
    """
    values = decode_indices(path, root=root)
    greatest = int(values.max(initial=0))
    if greatest >= n_classes:
        raise LearnerError(
            "data.masks",
            f"{path.name} has pixels of value {greatest}, but there are only {n_classes} classes, 0 to {n_classes - 1}",
        )
    return values
