"""Boxes drawn on pictures, each in the colour of its class."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from torch import Tensor

from learnfleet.trainer.boxes import PAD_CLASS
from learnfleet.trainer.plots import Picture, keep_limits, shorten
from learnfleet.trainer.plots_masks import class_colors
from learnfleet.trainer.points import scaled_to_pixels


def draw(axes: Axes, picture: Picture, boxes: Tensor, numbers: Tensor, classes: Sequence[str]) -> None:
    """Boxes [B, 4] in [-1, 1] with their classes' numbers [B] and names; those that only fill up are left out."""
    colors = class_colors(len(classes)) / 255
    size = (picture.shape[0], picture.shape[1])
    for box, number in zip(boxes, numbers.tolist(), strict=True):
        if number == PAD_CLASS:
            continue
        (top, left), (bottom, right) = scaled_to_pixels(box.view(2, 2), size).tolist()
        color = tuple(colors[number])
        axes.add_patch(Rectangle((left, top), right - left, bottom - top, fill=False, edgecolor=color, linewidth=2))
        axes.text(left, top, shorten(classes[number]), fontsize=7, color="white", va="top", backgroundcolor=color)
    keep_limits(axes, picture)
