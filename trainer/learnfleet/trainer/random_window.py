"""The window of `rand_resize_crop`, which is scaled to the wanted size."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class RandomWindow:
    """The window of `rand_resize_crop`: of a random area and ratio, anywhere in the picture."""

    arguments: Mapping[str, Any]

    @property
    def oversize(self) -> float:
        """How much larger than the wanted size pictures are kept, so that windows stay sharp; 2 at most, as memory and
        time grow with its square.
        """
        return float(min(2.0, self.arguments["max_scale"]))

    def of(self, shape: Sequence[int], u: Sequence[float]) -> tuple[int, int, int, int] | None:
        """(top, left, rows, columns) in a picture [.., H, W]; None where the plain crop is kept.

        Args:
            u: STREAMS uniform numbers.
        """
        if u[0] >= self.arguments["p"]:
            return None
        height, width = shape[-2:]
        least = 1 / self.arguments["max_scale"] ** 2
        area = height * width * (least + u[1] * (1 - least))
        low, high = math.log(self.arguments["ratios"][0]), math.log(self.arguments["ratios"][-1])
        ratio = math.exp(low + u[2] * (high - low))
        columns = max(1, min(width, round(math.sqrt(area * ratio))))
        rows = max(1, min(height, round(math.sqrt(area / ratio))))
        return int(u[3] * (height - rows + 1)), int(u[4] * (width - columns + 1)), rows, columns
