"""Figures of an interpretation. They use no pyplot state, so they are safe in threads and without a display."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

_TEXT_UP_TO = 30  # classes: beyond, counts would not be readable
_LABELS_UP_TO = 60  # classes: beyond, only every n-th is named
_NAME_LENGTH = 18
_TILE_PIXELS = 224
Picture = npt.NDArray[np.uint8]  # [H, W, 3] or [H, W]


@dataclass(frozen=True)
class Tile:
    """A picture and what is written above it."""

    picture: Picture
    title: str


def shorten(name: str, length: int = _NAME_LENGTH) -> str:
    return name if len(name) <= length else name[: length - 1] + "…"


def as_picture(value: Tensor) -> Picture:
    """A picture tensor [C, H, W], uint8 or float in [0, 1], as an array to show."""
    array = value.detach().cpu()
    if array.dtype.is_floating_point:
        array = (array.clamp(0, 1) * 255).round()
    picture: Picture = array.movedim(0, -1).numpy().astype(np.uint8)
    return picture[..., 0] if picture.shape[-1] == 1 else picture


def confusion_figure(
    matrix: npt.NDArray[np.int64],
    classes: Sequence[str],
    *,
    normalize: bool = False,
    title: str = "Confusion matrix",
    cmap: str = "Blues",
    decimals: int = 2,
    with_text: bool = True,
) -> Figure:
    """Actual classes down, predicted ones across; readable from 2 to a few hundred classes."""
    n = len(classes)
    side = min(max(3.6 + 0.42 * n, 4.6), 22.0)
    figure = Figure(figsize=(side + 0.8, side), layout="constrained", dpi=110)
    axes = figure.subplots()
    values = _shares(matrix) if normalize else matrix.astype(np.float64)
    image = axes.imshow(values, cmap=cmap, vmin=0.0, vmax=1.0 if normalize else max(float(matrix.max(initial=0)), 1.0))
    figure.colorbar(image, ax=axes, shrink=0.75, label="share of the actual class" if normalize else "pictures")
    _name_axes(axes, classes)
    axes.set_title(title, pad=12)
    axes.set(xlabel="Predicted", ylabel="Actual")
    if with_text and n <= _TEXT_UP_TO:
        _write_cells(axes, values, matrix, f"{{:.{decimals}f}}" if normalize else None)
    return figure


def _shares(matrix: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Each row by its sum; rows of classes that never occur are NaN, and stay blank."""
    totals = matrix.sum(axis=1, keepdims=True).astype(np.float64)
    shares = np.full(matrix.shape, np.nan)
    np.divide(matrix, totals, out=shares, where=totals > 0)
    return shares


def _name_axes(axes: Axes, classes: Sequence[str]) -> None:
    n = len(classes)
    stride = max(1, math.ceil(n / _LABELS_UP_TO))
    shown = list(range(0, n, stride))
    size = 10 if n <= _TEXT_UP_TO else 7
    names = [shorten(classes[index]) for index in shown]
    horizontal = n <= 10 and max(len(name) for name in names) <= 4
    axes.set_xticks(shown, names, rotation=0 if horizontal else 90, fontsize=size)
    axes.set_yticks(shown, names, fontsize=size)
    axes.set_xticks(np.arange(n + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(n + 1) - 0.5, minor=True)
    if n <= _LABELS_UP_TO:
        axes.grid(which="minor", color="white", linewidth=0.8)
    axes.tick_params(which="minor", length=0)
    axes.spines[:].set_visible(False)


def _write_cells(
    axes: Axes, values: npt.NDArray[np.float64], matrix: npt.NDArray[np.int64], pattern: str | None
) -> None:
    middle = float(np.nanmax(values, initial=0.0)) / 2
    size = 12 if len(matrix) <= 12 else 8
    for row, column in np.ndindex(*matrix.shape):
        value = values[row, column]
        text = "" if np.isnan(value) else pattern.format(value) if pattern else str(matrix[row, column])
        dim = matrix[row, column] == 0
        color = "white" if value > middle else "#b8c4d0" if dim else "#1a2733"
        axes.text(column, row, text, ha="center", va="center", fontsize=size, color=color)


def tiles_figure(tiles: Sequence[Tile], title: str, cmap: str = "magma") -> Figure:
    """Pictures in a near-square grid. Small ones are enlarged pixel by pixel, without blur."""
    columns = max(math.ceil(math.sqrt(len(tiles))), 1)
    rows = max(math.ceil(len(tiles) / columns), 1)
    figure = Figure(figsize=(max(3.1 * columns, 4.6), 3.3 * rows + 0.5), layout="constrained", dpi=100)
    grid = figure.subplots(rows, columns, squeeze=False).flatten().tolist()
    for axes in grid:
        axes.set_axis_off()
    for axes, tile in zip(grid, tiles, strict=False):
        _show(axes, tile, cmap)
    if title:
        figure.suptitle(title, fontsize=12, fontweight="bold")
    return figure


def _show(axes: Axes, tile: Tile, cmap: str) -> None:
    small = max(tile.picture.shape[:2]) < _TILE_PIXELS
    axes.imshow(tile.picture, cmap=cmap, interpolation="nearest" if small else "antialiased")
    axes.set_title(tile.title, fontsize=10)


def save_png(figure: Figure, path: Path) -> Path:
    """Write a figure as PNG, complete or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".tmp")
    figure.savefig(temporary, format="png")
    temporary.rename(path)
    return path
