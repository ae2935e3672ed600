"""Pictures of data: a batch with its targets, and results beside them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch
from matplotlib.figure import Figure
from torch import Tensor

from learnfleet.trainer import plots
from learnfleet.trainer.data_spec import LabelKind
from learnfleet.trainer.dataset import DatasetType, describe
from learnfleet.trainer.plots_masks import class_colors

if TYPE_CHECKING:
    from learnfleet.trainer.bunch import Bunch

_MASK_STRENGTH = 0.5
_TILE_INCHES = 2.4


def batch_figure(
    data: Bunch, rows: int, ds_type: DatasetType, reverse: bool, figsize: tuple[float, float] | None = None
) -> Figure:
    """A square grid of the first rows x rows items of a batch."""
    x, y = data.one_batch(ds_type)
    count = min(rows * rows, len(x))
    order = list(range(len(x)))[::-1][:count] if reverse else list(range(count))
    listing = data.listing
    pictures = [picture_of(x[i], y[i] if listing.kind is LabelKind.MASK else None, len(listing.classes)) for i in order]
    titles = ["" if ds_type is DatasetType.Test else title_of(y[i], data) for i in order]
    return grid_figure(pictures, titles, max(1, math.ceil(math.sqrt(count))), figsize=figsize)


def picture_of(x: Tensor, mask: Tensor | None = None, n_classes: int = 1) -> npt.NDArray[np.uint8]:
    """uint8 [H, W, 3] of a picture float [3, H, W] in [0, 1], with its mask [1, H, W] laid over it in colours."""
    pixels = (x.permute(1, 2, 0).clamp(0, 1) * 255).round()
    if mask is not None:
        colours = torch.tensor(class_colours(n_classes))[mask[0].long().clamp(0, n_classes - 1)]
        pixels = pixels * (1 - _MASK_STRENGTH) + colours * _MASK_STRENGTH
    picture: npt.NDArray[np.uint8] = pixels.numpy().astype(np.uint8)
    return picture


def class_colours(n: int) -> npt.NDArray[np.float32]:
    """A colour in [0, 255] for each of n classes, float32 [n, 3]; neighbours differ."""
    return class_colors(n).astype(np.float32)


def title_of(target: Tensor, data: Bunch) -> str:
    """A target as the title of its picture."""
    kind, classes = data.listing.kind, data.listing.classes
    if kind is LabelKind.CATEGORY:
        return plots.shorten(classes[int(target)])
    if kind is LabelKind.MULTI_CATEGORY:
        return plots.shorten(describe(tuple(torch.nonzero(target).flatten().tolist()), classes, kind))
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
    figure = Figure(figsize=figsize or (columns * _TILE_INCHES, rows * _TILE_INCHES), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).flatten()
    for axis in axes:
        axis.set_axis_off()
    for axis, picture, title in zip(axes, pictures, titles, strict=False):
        axis.imshow(picture)
        axis.set_title(title, fontsize=9)
    if heading:
        figure.suptitle(heading)
    return figure
