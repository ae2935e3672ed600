"""Pictures of data: a batch with its targets, and results beside them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch
from matplotlib.figure import Figure
from torch import Tensor

from learnfleet.trainer import plots, plots_boxes, plots_masks
from learnfleet.trainer.data_spec import LabelKind
from learnfleet.trainer.dataset import DatasetType, describe
from learnfleet.trainer.decoding import as_pixels, target_stats
from learnfleet.trainer.plots_masks import MaskTile

if TYPE_CHECKING:
    from learnfleet.trainer.bunch import Bunch

_MASK_STRENGTH = 0.5
_TILE_INCHES, _TITLE_INCHES = 2.4, 0.25


def batch_figure(
    data: Bunch, rows: int, ds_type: DatasetType, reverse: bool, figsize: tuple[float, float] | None = None
) -> Figure:
    """A square grid of the first rows x rows items of a batch; masks with the names of their colours; of pictures as
    targets `rows` pairs.
    """
    x, y = data.one_batch(ds_type)
    count = min(rows * rows, len(x))
    order = list(range(len(x)))[::-1][:count] if reverse else list(range(count))
    columns = max(1, math.ceil(math.sqrt(count)))
    pictures = [picture_of(x[i]) for i in order]
    if data.listing.kind is LabelKind.MASK and ds_type is not DatasetType.Test:
        return _masks_figure(pictures, [y[i, 0].numpy() for i in order], data.listing.classes, columns, figsize)
    if data.listing.kind is LabelKind.IMAGE and ds_type is not DatasetType.Test:
        return _pairs_figure(data, pictures[:rows], y[order[:rows]], figsize)
    if data.listing.kind is LabelKind.BOXES:
        figure = grid_figure(pictures, [""] * count, columns, figsize=figsize)
        for axes, picture, i in zip(figure.axes, pictures, order, strict=False):
            plots_boxes.draw(axes, picture, y[0][i], y[1][i], data.listing.classes)
        return figure
    titles = ["" if ds_type is DatasetType.Test else title_of(y[i], data) for i in order]
    figure = grid_figure(pictures, titles, columns, figsize=figsize)
    if data.listing.kind is LabelKind.POINTS and ds_type is not DatasetType.Test:
        for axes, picture, i in zip(figure.axes, pictures, order, strict=False):
            plots.Dots.of(y[i], picture).draw(axes)
            plots.keep_limits(axes, picture)
    return figure


def _masks_figure(
    pictures: list[npt.NDArray[np.uint8]],
    masks: list[plots_masks.Mask],
    classes: Sequence[str],
    columns: int,
    figsize: tuple[float, float] | None,
) -> Figure:
    tiles = [MaskTile(picture, mask) for picture, mask in zip(pictures, masks, strict=True)]
    rows = [tiles[start : start + columns] for start in range(0, len(tiles), columns)]
    width = columns * _TILE_INCHES + plots_masks.LEGEND_INCHES
    return plots_masks.masks_figure(rows, classes, alpha=_MASK_STRENGTH, width=width, figsize=figsize)


def _pairs_figure(
    data: Bunch, pictures: list[npt.NDArray[np.uint8]], targets: Tensor, figsize: tuple[float, float] | None
) -> Figure:
    """Pictures beside those that are their targets."""
    wanted = [picture_of(as_pixels(target, target_stats(data))) for target in targets]
    shown = [picture for pair in zip(pictures, wanted, strict=True) for picture in pair]
    return grid_figure(shown, ["Input", "Target"] * len(pictures), 2, figsize=figsize)


def picture_of(x: Tensor) -> npt.NDArray[np.uint8]:
    """uint8 [H, W, 3] of a picture float [3, H, W] in [0, 1]."""
    pixels = (x.permute(1, 2, 0).clamp(0, 1) * 255).round()
    picture: npt.NDArray[np.uint8] = pixels.numpy().astype(np.uint8)
    return picture


def title_of(target: Tensor, data: Bunch) -> str:
    """A target as the title of its picture."""
    kind, classes = data.listing.kind, data.listing.classes
    if kind is LabelKind.CATEGORY:
        return plots.shorten(classes[int(target)])
    if kind is LabelKind.MULTI_CATEGORY:
        return plots.shorten(
            describe(tuple(torch.nonzero(target).flatten().tolist()), classes, kind), plots.LINE_LENGTH
        )
    if kind is LabelKind.FLOAT:
        return describe(tuple(target.reshape(-1).tolist()), classes, kind)
    return ""


def grid_figure(
    pictures: list[npt.NDArray[np.uint8]],
    titles: list[str],
    columns: int,
    heading: str = "",
    figsize: tuple[float, float] | None = None,
) -> Figure:
    """Pictures with their titles, `columns` a row."""
    rows = max(1, math.ceil(len(pictures) / columns))
    aspect = max((picture.shape[0] / picture.shape[1] for picture in pictures), default=1.0)
    height = min(_TILE_INCHES * aspect, 2 * _TILE_INCHES) + (_TITLE_INCHES if any(titles) else 0)
    figure = Figure(figsize=figsize or (columns * _TILE_INCHES, rows * height), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).flatten()
    for axis in axes:
        axis.set_axis_off()
    for axis, picture, title in zip(axes, pictures, titles, strict=False):
        axis.imshow(picture)
        axis.set_title(title, fontsize=9)
    if heading:
        figure.suptitle(heading)
    return figure
