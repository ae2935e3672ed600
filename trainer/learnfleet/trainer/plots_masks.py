"""Figures of masks: every pixel in the colour of its class."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from learnfleet.trainer.plots import Picture, shorten

_TURN = 0.618034  # of the colour circle: neighbours in number are far apart in hue
_NO_CLASS = (128, 128, 128)
_HUES = (0, 2, 4, 6, 8, 10, 12, 16, 18)  # of tab20, each followed by a lighter one; 14 is grey, as no class is
_LEGEND_UP_TO = 40
_TILE_INCHES, LEGEND_INCHES = 3.9, 1.6  # the names of the colours are beside the pictures
Mask = npt.NDArray[np.int64]  # [H, W]


@dataclass(frozen=True)
class MaskTile:
    """A picture, a mask over it (None: the picture alone), and what is written above."""

    picture: Picture
    mask: Mask | None
    title: str = ""


def class_colors(n: int, void: int | None = None) -> npt.NDArray[np.uint8]:
    """A colour for each of n classes, uint8 [n, 3], always the same ones; grey for the class `void`."""
    if n <= 2 * len(_HUES):
        table = colormaps["tab20"](np.take(_HUES, np.arange(n) % len(_HUES)) + np.arange(n) // len(_HUES))[:, :3]
    else:
        turns = [colorsys.hsv_to_rgb(i * _TURN % 1, 0.55 + 0.4 * (i % 2), 0.95 - 0.15 * (i % 3)) for i in range(n)]
        table = np.array(turns)
    colors = np.asarray(table * 255, dtype=np.uint8)
    if void is not None and 0 <= void < n:
        colors[void] = _NO_CLASS
    return colors


def overlay(picture: Picture, mask: Mask, colors: npt.NDArray[np.uint8], alpha: float = 0.6) -> Picture:
    """The picture with the colours of the mask; values that are no class are grey."""
    n = len(colors)
    table = np.vstack((colors, np.array([_NO_CLASS], dtype=np.uint8)))
    painted = table[np.where((mask >= 0) & (mask < n), mask, n)]
    picture = np.repeat(picture[..., None], 3, axis=2) if picture.ndim == 2 else picture
    mixed: Picture = (picture * (1 - alpha) + painted * alpha).round().astype(np.uint8)
    return mixed


def masks_figure(
    rows: Sequence[Sequence[MaskTile]],
    classes: Sequence[str],
    title: str = "",
    *,
    alpha: float = 0.6,
    void: int | None = None,
    width: float | None = None,
    figsize: tuple[float, float] | None = None,
) -> Figure:
    """A table of tiles, with the colours of the classes that occur in them; grey for the class `void`.

    Args:
        width: inches; the height follows from the pictures. figsize: both. None: what the tiles need.
    """
    columns, colors = max(map(len, rows), default=1), class_colors(len(classes), void)
    aspect = max((tile.picture.shape[0] / tile.picture.shape[1] for row in rows for tile in row), default=1.0)
    width = width or _TILE_INCHES * columns + LEGEND_INCHES
    titled = 0.35 if any(tile.title for row in rows for tile in row) else 0.1
    height = max(len(rows), 1) * ((width - LEGEND_INCHES) / columns * aspect + titled) + (0.5 if title else 0.1)
    figure = Figure(figsize=figsize or (width, max(height, 2.5)), layout="constrained", dpi=100)
    grid = figure.subplots(max(len(rows), 1), columns, squeeze=False)
    for axes in grid.flatten().tolist():
        axes.set_axis_off()
    for axes_row, row in zip(grid, rows, strict=False):
        for axes, tile in zip(axes_row, row, strict=False):
            _show(axes, tile, colors, alpha)
    _legend(figure, [tile.mask for row in rows for tile in row if tile.mask is not None], classes, colors)
    if title:
        figure.suptitle(title, fontsize=12, fontweight="bold")
    return figure


def _show(axes: Axes, tile: MaskTile, colors: npt.NDArray[np.uint8], alpha: float) -> None:
    shown = tile.picture if tile.mask is None else overlay(tile.picture, tile.mask, colors, alpha)
    axes.imshow(shown, cmap="gray", interpolation="nearest")
    axes.set_title(tile.title, fontsize=10)


def _legend(figure: Figure, masks: Sequence[Mask], classes: Sequence[str], colors: npt.NDArray[np.uint8]) -> None:
    seen = sorted({int(value) for mask in masks for value in np.unique(mask)})
    known = [value for value in seen if 0 <= value < len(classes)][:_LEGEND_UP_TO]
    patches = [Patch(color=tuple(colors[value] / 255), label=shorten(str(classes[value]))) for value in known]
    if patches:
        figure.legend(handles=patches, loc="outside right upper", fontsize=8, frameon=False)
