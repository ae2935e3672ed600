"""A data set's first items with ground truth and prediction (fastai `show_results`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from matplotlib.figure import Figure
from torch import Tensor

from learnfleet.trainer import plots, plots_masks
from learnfleet.trainer.batch import as_arguments
from learnfleet.trainer.boxes import not_of_boxes
from learnfleet.trainer.data_spec import LabelKind
from learnfleet.trainer.dataset import DatasetType
from learnfleet.trainer.dataset_items import as_picture, first_batches
from learnfleet.trainer.decoding import as_pixels, decode, decode_target, target_stats, thresh_of, void_of
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.inference import kind_of, run_without_grad
from learnfleet.trainer.losses import activation_of

if TYPE_CHECKING:
    from learnfleet.trainer.learner import Learner

_HEADING = "Ground truth / Predictions"
_UNKNOWN = "?"


def results_figure(
    learner: Learner, ds_type: DatasetType, rows: int, figsize: tuple[float, float] | None = None
) -> Figure:
    """rows x rows pictures titled with what is true and what is predicted, or with both as dots (true ones green,
    predicted ones red); of masks `rows` pairs, of pictures
    `rows` times input, target and prediction.

    No rank waits for another. Raises LearnerError for data without pictures.
    """
    if rows < 1:
        raise LearnerError("rows", f"{rows} rows cannot be shown: give at least 1")
    if getattr(learner.data, "kind", None) is LabelKind.BOXES:
        raise not_of_boxes("show_results")
    found = _first_items(learner, ds_type, rows * rows)
    kind = kind_of(learner, found[2])
    if kind is LabelKind.MASK:
        table = _mask_pairs(learner, ds_type, found, rows)
        classes = [str(name) for name in learner.data.classes]
        return plots_masks.masks_figure(table, classes, _HEADING, void=void_of(learner.loss_func), figsize=figsize)
    if kind is LabelKind.IMAGE:
        pictures = [tile for item in list(zip(*found, strict=True))[:rows] for tile in _triple(learner, ds_type, *item)]
        columns = 2 if ds_type is DatasetType.Test else 3
        return plots.tiles_figure(pictures, "", columns=columns, figsize=figsize)
    make = _dotted if kind is LabelKind.POINTS else _tile
    tiles = [make(learner, ds_type, *item) for item in zip(*found, strict=True)]
    return plots.tiles_figure(tiles, _HEADING, figsize=figsize)


def _first_items(learner: Learner, ds_type: DatasetType, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """(inputs, targets, activated outputs) of at most `count` items, on the CPU."""
    batches = first_batches(learner, ds_type, count)
    if not batches:
        raise LearnerError("ds_type", f"the {ds_type.name} data has no item that can be read")
    activation = activation_of(learner.loss_func)
    outputs = [run_without_grad(learner.model, batch.x, activation, learner.precision) for batch in batches]
    x = [as_arguments(batch.x)[0].cpu() for batch in batches]
    y = [as_arguments(batch.y)[0].cpu() for batch in batches]
    return torch.cat(x)[:count], torch.cat(y)[:count], torch.cat(outputs)[:count]


def _tile(learner: Learner, ds_type: DatasetType, x: Tensor, target: Tensor, output: Tensor) -> plots.Tile:
    kind, classes = kind_of(learner, output.unsqueeze(0)), learner.data.classes
    given, prediction = decode(kind, output, classes, thresh_of(learner.loss_func))
    names = [plots.shorten(str(given), plots.LINE_LENGTH) or "(none)"]
    color = "black"
    if ds_type is DatasetType.Test:
        names.insert(0, _UNKNOWN)
    else:
        names.insert(0, plots.shorten(str(decode_target(kind, target, classes)), plots.LINE_LENGTH) or "(none)")
        if kind is not LabelKind.FLOAT:
            color = plots.RIGHT_COLOR if torch.equal(prediction.float(), target.float()) else plots.WRONG_COLOR
    return plots.Tile(as_picture(learner.data, x), "\n".join(names), color)


def _triple(learner: Learner, ds_type: DatasetType, x: Tensor, target: Tensor, output: Tensor) -> list[plots.Tile]:
    """The picture, what is to be made of it, where that is known, and what was made of it."""
    stats = target_stats(learner.data)
    wanted, made = (as_pixels(values, stats) for values in (target, output))
    known = [] if ds_type is DatasetType.Test else [plots.Tile(plots.as_picture(wanted), "Target")]
    return [plots.Tile(as_picture(learner.data, x), "Input"), *known, plots.Tile(plots.as_picture(made), "Prediction")]


def _dotted(learner: Learner, ds_type: DatasetType, x: Tensor, target: Tensor, output: Tensor) -> plots.Tile:
    """A picture with its points, where they are known, and those that are predicted, in another colour."""
    picture = as_picture(learner.data, x)
    predicted = plots.Dots.of(output.reshape(-1, 2), picture, plots.WRONG_COLOR)
    known = () if ds_type is DatasetType.Test else (plots.Dots.of(target.reshape(-1, 2), picture),)
    return plots.Tile(picture, "", dots=(*known, predicted))


def _mask_pairs(
    learner: Learner, ds_type: DatasetType, found: tuple[Tensor, Tensor, Tensor], rows: int
) -> list[list[plots_masks.MaskTile]]:
    table = []
    for x, target, output in list(zip(*found, strict=True))[:rows]:
        picture = as_picture(learner.data, x)
        mask = decode(LabelKind.MASK, output, (), thresh_of(learner.loss_func))[1][0].numpy()
        true = None if ds_type is DatasetType.Test else target.reshape(target.shape[-2:]).numpy()
        table.append([plots_masks.MaskTile(picture, true), plots_masks.MaskTile(picture, mask)])
    return table
