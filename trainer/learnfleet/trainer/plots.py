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
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from learnfleet.trainer.confusion import Counts, Scores, row_shares
from learnfleet.trainer.points import scaled_to_pixels

_TEXT_UP_TO = 30  # classes: beyond, counts would not be readable
_LABELS_UP_TO = 60  # classes: beyond, only every n-th is named
_NAME_LENGTH = 18
LINE_LENGTH = 34  # of a line above a picture
_TILE_PIXELS = 224
_DPI = 110
_TILE_INCHES = 3.1
_COLD = 0.3  # of a heat map's strength, where it is 0
Picture = npt.NDArray[np.uint8]  # [H, W, 3] or [H, W]


RIGHT_COLOR, WRONG_COLOR = "#1a7f37", "#c0392b"


@dataclass(frozen=True)
class Heat:
    """A map [h, w] that is laid over a picture: as strongly as `alpha` where it is hottest, hardly where it is cold."""

    values: npt.NDArray[np.float32]
    alpha: float = 0.6
    cmap: str = "magma"


@dataclass(frozen=True)
class Dots:
    """Points that are drawn on a picture."""

    places: npt.NDArray[np.float32]  # [K, 2]: y, x in pixels
    color: str = RIGHT_COLOR

    @classmethod
    def of(cls, points: Tensor, picture: Picture, color: str = RIGHT_COLOR) -> Dots:
        """Of points [K, 2] of (y, x) in [-1, 1] of a picture."""
        return cls(scaled_to_pixels(points.float(), (picture.shape[0], picture.shape[1])).numpy(), color)

    def draw(self, axes: Axes) -> None:
        """Those that lie beyond the picture are left out."""
        y, x = self.places[:, 0], self.places[:, 1]
        axes.scatter(x, y, s=18, c=self.color, edgecolors="white", linewidths=0.6, clip_on=True)


@dataclass(frozen=True)
class Tile:
    """A picture and what is written above it."""

    picture: Picture
    title: str
    color: str = "black"
    heat: Heat | None = None
    dots: tuple[Dots, ...] = ()


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
    matrix: Counts,
    classes: Sequence[str],
    *,
    normalize: bool = False,
    title: str = "Confusion matrix",
    cmap: str = "Blues",
    decimals: int = 2,
    with_text: bool = True,
    unit: str = "pictures",
    figsize: tuple[float, float] | None = None,
    dpi: float | None = None,
) -> Figure:
    """Actual classes down, predicted ones across; readable from 2 to a few hundred classes."""
    if normalize:
        return shares_figure(
            row_shares(matrix),
            classes,
            title=title,
            cmap=cmap,
            decimals=decimals,
            with_text=with_text,
            figsize=figsize,
            dpi=dpi,
        )
    values = matrix.astype(np.float64)
    greatest, whole = max(float(matrix.max(initial=0)), 1.0), MaxNLocator(integer=True)
    figure, axes = _matrix_figure(values, classes, title, cmap, unit, greatest, figsize, dpi, whole)
    if with_text and len(classes) <= _TEXT_UP_TO:
        _write_cells(axes, values, "{:.0f}")
    return figure


def shares_figure(
    shares: Scores,
    classes: Sequence[str],
    *,
    title: str,
    cmap: str = "Blues",
    decimals: int = 2,
    with_text: bool = True,
    figsize: tuple[float, float] | None = None,
    dpi: float | None = None,
) -> Figure:
    """As `confusion_figure`, of shares of each actual class; NaN stays blank."""
    figure, axes = _matrix_figure(shares, classes, title, cmap, "share of the actual class", 1.0, figsize, dpi)
    if with_text and len(classes) <= _TEXT_UP_TO:
        _write_cells(axes, shares, f"{{:.{decimals}f}}")
    return figure


def _matrix_figure(
    values: Scores,
    classes: Sequence[str],
    title: str,
    cmap: str,
    unit: str,
    greatest: float,
    figsize: tuple[float, float] | None,
    dpi: float | None,
    ticks: MaxNLocator | None = None,
) -> tuple[Figure, Axes]:
    side = min(max(3.6 + 0.42 * len(classes), 4.6), 22.0)
    figure = Figure(figsize=figsize or (side + 0.8, side), layout="constrained", dpi=dpi or _DPI)
    axes = figure.subplots()
    image = axes.imshow(values, cmap=cmap, vmin=0.0, vmax=greatest)
    figure.colorbar(image, ax=axes, shrink=0.75, label=unit, ticks=ticks)
    _name_axes(axes, classes)
    axes.set_title(title, pad=12)
    axes.set(xlabel="Predicted", ylabel="Actual")
    return figure, axes


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


def _write_cells(axes: Axes, values: Scores, pattern: str) -> None:
    middle = float(np.nanmax(values, initial=0.0)) / 2
    size = 12 if len(values) <= 12 else 8
    for row, column in np.ndindex(*values.shape):
        value = float(values[row, column])
        color = "white" if value > middle else "#b8c4d0" if value == 0 else "#1a2733"
        text = "" if math.isnan(value) else pattern.format(value)
        axes.text(column, row, text, ha="center", va="center", fontsize=size, color=color)


def tiles_figure(
    tiles: Sequence[Tile], title: str, *, columns: int | None = None, figsize: tuple[float, float] | None = None
) -> Figure:
    """Pictures in a grid. Small ones are enlarged pixel by pixel, without blur.

    Args:
        columns: None: up to 3 pictures in a row; of more, as many as rows or one more.
        figsize: inches. None: what the tiles need.
    """
    columns = columns or max(len(tiles) if len(tiles) <= 3 else math.ceil(math.sqrt(len(tiles))), 1)
    rows = max(math.ceil(len(tiles) / columns), 1)
    figure = Figure(figsize=figsize or _size_of(tiles, rows, columns), layout="constrained", dpi=100)
    grid = figure.subplots(rows, columns, squeeze=False).flatten().tolist()
    for axes in grid:
        axes.set_axis_off()
    for axes, tile in zip(grid, tiles, strict=False):
        _show(axes, tile)
    if title:
        figure.suptitle(title, fontsize=12, fontweight="bold")
    return figure


def _size_of(tiles: Sequence[Tile], rows: int, columns: int) -> tuple[float, float]:
    """Inches for tiles as high as their pictures are, in relation to their breadth."""
    aspect = max((tile.picture.shape[0] / tile.picture.shape[1] for tile in tiles), default=1.0)
    lines = max((tile.title.count("\n") + bool(tile.title) for tile in tiles), default=0)
    height = min(max(_TILE_INCHES * aspect, 1.0), 2 * _TILE_INCHES) + 0.22 * lines
    return max(_TILE_INCHES * columns, 4.6), height * rows + 0.5


def _show(axes: Axes, tile: Tile) -> None:
    rows, columns = tile.picture.shape[:2]
    small = max(rows, columns) < _TILE_PIXELS
    axes.imshow(tile.picture, cmap="gray", interpolation="nearest" if small else "antialiased")
    if tile.heat is not None and tile.heat.values.max() > 0:  # a map of zeros would only darken the picture
        place = (-0.5, columns - 0.5, rows - 0.5, -0.5)
        heat = tile.heat
        # The same strength everywhere would hide the picture under the colour of "nothing here".
        strength = heat.alpha * (_COLD + (1 - _COLD) * heat.values / heat.values.max())
        axes.imshow(heat.values, alpha=strength, extent=place, interpolation="bilinear", cmap=heat.cmap)
    for dots in tile.dots:
        dots.draw(axes)
    keep_limits(axes, tile.picture)
    axes.set_title(tile.title, fontsize=10, color=tile.color)


def keep_limits(axes: Axes, picture: Picture) -> None:
    """The picture and nothing beside it, whatever was drawn on it."""
    axes.set_xlim(-0.5, picture.shape[1] - 0.5)
    axes.set_ylim(picture.shape[0] - 0.5, -0.5)


def asked_for(figure: Figure, return_fig: bool | None) -> Figure | None:
    """The figure, which a notebook shows; nothing under return_fig=False, for those who only want it drawn."""
    return None if return_fig is False else figure


def save_png(figure: Figure, path: Path) -> Path:
    """Write a figure as PNG, complete or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".tmp")
    figure.savefig(temporary, format="png")
    temporary.rename(path)
    return path
