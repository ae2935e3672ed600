"""Single pictures of an examination as files: as the model sees them, and where a score comes from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib import colormaps
from PIL import Image
from torch import Tensor
from torch.nn.functional import interpolate

from learnfleet.trainer import dataset_items
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.images import BadImage
from learnfleet.trainer.interpret import Interpretation
from learnfleet.trainer.interpret_masks import SegmentationInterpretation

_WRONG = (255, 96, 0, 165)  # of pixels
_OPAQUE = 0.7  # of a heat map, where it is hottest
_FAST = 1  # level of compression: what a page of pictures takes to write matters more than its size


class ItemFiles:
    """Writes pictures of items to a folder, each once, and gives the names of the files."""

    def __init__(self, found: Interpretation, folder: Path) -> None:
        self._found, self._folder = found, folder
        self._written: dict[int, str] = {}

    def picture(self, index: int) -> str:
        """`item_{index}.png` of that item of the dataset; empty for what is no picture, or cannot be read any more."""
        if index not in self._written:
            self._written[index] = self._write(index)
        return self._written[index]

    def _write(self, index: int) -> str:
        try:
            pixels = dataset_items.picture_of(self._found.learn, self._found.ds_type, index)
        except (BadImage, LearnerError):
            return ""
        name = f"item_{index}.png"
        Image.fromarray(pixels).save(self._folder / name, compress_level=_FAST)
        return name

    def heat_map(self, index: int, heat: Tensor | None) -> str:
        """`heat_{index}.png`, as large as the picture, to be laid over it: the less a place says, the clearer it is."""
        name = self.picture(index)
        if heat is None or not name:
            return ""
        with Image.open(self._folder / name) as picture:
            columns, rows = picture.size
        large = interpolate(heat[None, None].float(), (rows, columns), mode="bilinear", align_corners=False)[0, 0]
        strength = (large / large.max().clamp_min(1e-12)).numpy()
        colours = colormaps["inferno"](strength)
        colours[..., 3] = strength * _OPAQUE
        Image.fromarray((colours * 255).round().astype(np.uint8), "RGBA").save(
            self._folder / f"heat_{index}.png", compress_level=_FAST
        )
        return f"heat_{index}.png"

    def wrong_pixels(self, row: int) -> str:
        """Of masks, as `heat_map`: pixels that are wrong, but for those that do not count. Empty for other kinds."""
        found = self._found
        if not isinstance(found, SegmentationInterpretation) or not self.picture(int(found.indices[row])):
            return ""
        actual, given = (mask.numpy() for mask in found.masks_of(row))
        wrong = (actual != given) & (actual != (-1 if found.void_code is None else found.void_code))
        layers = np.zeros((*wrong.shape, 4), np.uint8)
        layers[wrong] = _WRONG
        name = f"heat_{int(found.indices[row])}.png"
        Image.fromarray(layers, "RGBA").save(self._folder / name, compress_level=_FAST)
        return name
