"""The validation transforms as a value, usable without any data folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from learnfleet.trainer.data_spec import PaddingMode, ResizeMethod
from learnfleet.trainer.images import BadImage, Source
from learnfleet.trainer.pixels import normalized
from learnfleet.trainer.resize import Resize
from learnfleet.trainer.spec_base import Spec


@dataclass(frozen=True)
class EvalTransform(Spec):
    """What is done to every picture that is not trained on. An export carries it."""

    size: tuple[int, ...]  # rows, columns
    resize_method: ResizeMethod
    mean: tuple[float, ...]
    std: tuple[float, ...]
    padding: PaddingMode = "reflection"
    margin: int = 0  # see `Resize`

    def __call__(self, sources: Sequence[Source]) -> Tensor:
        """Float32 [N, 3, H, W] on the CPU, bit for bit what a validation loader makes. Raises BadImage."""
        pixels = [self.pixels(source) for source in sources]
        if not pixels:
            return torch.empty(0, 3, *(self.size or (0, 0)))
        if len({part.shape for part in pixels}) > 1:
            raise BadImage("<batch>", "pictures of different sizes cannot share a batch: ask for one at a time")
        return normalized(torch.stack(pixels), (self.mean, self.std))

    def pixels(self, source: Source) -> Tensor:
        """One picture before normalisation, uint8 [3, H, W]. Raises BadImage."""
        rows, columns = self.size or (0, 0)
        resize = Resize(rows, columns, self.resize_method, self.padding, margin=self.margin)
        return resize.crop(resize.prepare(source))
