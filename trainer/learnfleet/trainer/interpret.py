"""What a model gets wrong: losses of every item, and the pictures behind them (fastai v1 `Interpretation`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Self

import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from learnfleet.trainer import dataset_items, plots
from learnfleet.trainer.data_spec import LabelKind
from learnfleet.trainer.dataset import DatasetType
from learnfleet.trainer.decoding import decode_target
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.grad_cam import HEATMAP_THRESH, body_of, fine_enough, grad_cam, has_body
from learnfleet.trainer.inference import Predictions, plain_type, predict_loader
from learnfleet.trainer.losses import Activation
from learnfleet.trainer.tta import predict_tta

if TYPE_CHECKING:
    from learnfleet.trainer.learner import Learner


class TopLosses(NamedTuple):
    """As torch.topk gives them."""

    values: Tensor  # float [k]
    indices: Tensor  # int64 [k], positions in the dataset


_PICTURE = 3  # dimensions of one: [C, H, W]


@dataclass(frozen=True)
class TopLoss:
    """One item and how the model fares on it."""

    index: int  # in the dataset
    predicted: str
    actual: str
    loss: float
    probability: float | None  # that the model gives to what is true; None where it gives none


class Interpretation:
    """Predictions, targets and losses of a whole dataset, and what can be read from them for any kind of label.

    Attributes:
        preds, y_true, losses: of the N items, on the CPU.
        indices: int64 [N], their positions in the dataset: items that could not be read are missing.
    """

    def __init__(
        self,
        learn: Learner,
        preds: Tensor,
        y_true: Tensor,
        losses: Tensor,
        ds_type: DatasetType = DatasetType.Valid,
        indices: Tensor | None = None,
    ) -> None:
        """Args:
        preds: activated outputs [N, ...]. losses: float [N]. indices: None: 0 to N - 1.
        """
        if not len(preds) == len(y_true) == len(losses):
            raise LearnerError(
                "interpret", f"{len(preds)} predictions, {len(y_true)} targets and {len(losses)} losses do not match"
            )
        self.learn, self.ds_type = learn, plain_type(ds_type)
        self.classes = [str(name) for name in learn.data.classes]
        self.preds, self.y_true, self.losses = preds, y_true, losses
        self.indices = torch.arange(len(losses)) if indices is None else indices

    @classmethod
    def from_learner(
        cls,
        learn: Learner,
        ds_type: DatasetType = DatasetType.Valid,
        activ: Activation | None = None,
        tta: bool = False,
    ) -> Self:
        """Run the model over a dataset. Every rank must call, and gets everything.

        Train means Fix: the training items in order, whole and not augmented. (In fastai v1 only the classification
        class heeds `ds_type`, and on Train its indices are those of a shuffled loader.)

        Args:
            activ: replaces the activation that suits the loss.
            tta: average over test-time augmentations.

        Raises LearnerError for data without labels or items.
        """
        return cls.of(learn, predicted(learn, ds_type, activ, tta=tta), ds_type)

    @classmethod
    def of(cls, learn: Learner, found: Predictions, ds_type: DatasetType) -> Self:
        """Of predictions with losses, made with `ds_type`."""
        if found.losses is None:
            raise LearnerError("interpret", "losses are needed: predict with_loss=True")
        return cls(learn, found.outputs, found.targets, found.losses, ds_type, found.indices)

    @property
    def mean_loss(self) -> float:
        return float(self.losses.double().mean())

    # --- the items with the greatest losses

    def top_losses(self, k: int | None = None, largest: bool = True) -> TopLosses:
        """The k largest (or smallest) losses and the positions of their items in the dataset. Default: all, sorted."""
        values, rows = self.top_rows(k, largest)
        return TopLosses(values, self.indices[rows])

    def top_rows(self, k: int | None, largest: bool) -> tuple[Tensor, Tensor]:
        """The losses, and the rows of `preds` they belong to. Raises ValueError if there are not so many."""
        count = len(self.losses)
        if k is not None and not 0 < k <= count:
            raise ValueError(f"k: {k} losses of {count} items cannot be listed; give 1 to {count}")
        order = torch.argsort(self.losses, descending=largest, stable=True)[:k]
        return self.losses[order], order

    def describe_top_losses(self, k: int | None = None, largest: bool = True) -> list[TopLoss]:
        """The items with the k largest losses, with names."""
        _, rows = self.top_rows(k, largest)
        return [self.describe(row) for row in rows.tolist()]

    def describe(self, row: int) -> TopLoss:
        """What is predicted, what is true, and how much that costs."""
        predicted, actual = str(self.item(self.preds[row])), str(self.item(self.y_true[row]))
        return TopLoss(int(self.indices[row]), predicted, actual, float(self.losses[row]), self.probability(row))

    def item(self, values: Tensor) -> object:
        """What a prediction or a target stands for."""
        kind = LabelKind.IMAGE if values.ndim == _PICTURE else LabelKind.FLOAT
        return decode_target(kind, values, self.classes)

    def probability(self, row: int) -> float | None:
        """That the model gives to what is true."""
        return None

    def is_right(self, row: int) -> bool | None:
        """Whether the prediction is the target; None where that is no question."""
        return None

    # --- pictures

    def plot_top_losses(
        self,
        k: int,
        largest: bool = True,
        figsize: tuple[float, float] | None = None,
        heatmap: bool | None = False,
        heatmap_thresh: int = HEATMAP_THRESH,
        alpha: float = 0.6,
        cmap: str = "magma",
        show_text: bool = True,
        return_fig: bool | None = None,
    ) -> Figure | None:
        """The pictures with the k largest losses (at most all), titled prediction / actual / loss / probability.

        Args:
            figsize: inches. None: what the pictures need. (fastai: 12 x 12 for any k.)
            heatmap: lay over each where the score of its actual class comes from (Grad-CAM). None: if the model is a
                body and a head, and the labels are single classes.
            heatmap_thresh: no map that has fewer places.
            alpha, cmap: of the maps.
        """
        figure = self.top_losses_figure(k, largest, figsize, heatmap, heatmap_thresh, alpha, cmap, show_text)
        return plots.asked_for(figure, return_fig)

    def top_losses_figure(
        self,
        k: int,
        largest: bool = True,
        figsize: tuple[float, float] | None = None,
        heatmap: bool | None = False,
        heatmap_thresh: int = HEATMAP_THRESH,
        alpha: float = 0.6,
        cmap: str = "magma",
        show_text: bool = True,
    ) -> Figure:
        """What `plot_top_losses` gives."""
        rows = self.top_rows(min(k, len(self.losses)), largest)[1].tolist()
        maps = self._heat_maps(rows, heatmap, heatmap_thresh)
        heats = [None if item is None else plots.Heat(item.numpy(), alpha, cmap) for item in maps]
        tiles = [self._tile(row, heat, show_text) for row, heat in zip(rows, heats, strict=True)]
        return plots.tiles_figure(tiles, self.tile_heading if show_text else "", figsize=figsize)

    tile_heading = "Prediction / Actual / Loss"

    def tile_title(self, item: TopLoss) -> str:
        """What is written above an item's picture."""
        parts = [plots.shorten(item.predicted), plots.shorten(item.actual), f"{item.loss:.2f}"]
        return " / ".join(parts if item.probability is None else [*parts, f"{item.probability:.2f}"])

    def _tile(self, row: int, heat: plots.Heat | None, show_text: bool) -> plots.Tile:
        right = self.is_right(row)
        color = "black" if right is None else plots.RIGHT_COLOR if right else plots.WRONG_COLOR
        title = self.tile_title(self.describe(row)) if show_text else ""
        return plots.Tile(self.picture(row), title, color, heat)

    def picture(self, row: int) -> plots.Picture:
        """The picture of a row, as the model sees it in validation. Raises LearnerError for data without any."""
        return dataset_items.picture_of(self.learn, self.ds_type, int(self.indices[row]))

    # --- Grad-CAM

    def GradCAM(  # noqa: N802  # fastai's name
        self,
        idx: int,
        ds_type: DatasetType | None = None,
        heatmap_thresh: int = HEATMAP_THRESH,
        image: bool = True,
    ) -> tuple[plots.Picture, Tensor | None] | Tensor | None:
        """Where the score of the actual class of item `idx` comes from: (picture, map [h, w]), or the map alone.

        The map is None if it has fewer than `heatmap_thresh` places. Raises LearnerError if the model is no body and
        head.

        Args:
            idx: position in the dataset, whatever `ds_type`. None: that of this interpretation.
        """
        ds_type = self.ds_type if ds_type is None else plain_type(ds_type)
        item = dataset_items.item_of(self.learn, ds_type, idx)
        target = self.explained_class(item.target.unsqueeze(0))
        heat = grad_cam(self._explained_model(), item.x.unsqueeze(0), target, body_of(self.learn.model))[0]
        kept = heat if fine_enough(heat, heatmap_thresh) else None
        return (dataset_items.picture_of(self.learn, ds_type, idx), kept) if image else kept

    def explained_class(self, targets: Tensor) -> Tensor:
        """Of targets [N], the outputs that a heat map explains, int64 [N]."""
        raise LearnerError("heatmap", "heat maps need labels that are classes")

    def _explained_model(self) -> nn.Module:
        """With a score for each of the classes that `explained_class` gives."""
        return self.learn.model

    has_classes = False

    @property
    def explains(self) -> bool:
        """Whether heat maps are possible: the labels are single classes, the model is a body and a head."""
        return self.has_classes and has_body(self.learn.model)

    def _heat_maps(self, rows: Sequence[int], heatmap: bool | None, thresh: int) -> list[Tensor | None]:
        wanted = self.explains if heatmap is None else heatmap
        if not wanted or not rows:
            return [None] * len(rows)
        layer = body_of(self.learn.model)
        targets = self.explained_class(self.y_true[list(rows)])
        inputs = [dataset_items.item_of(self.learn, self.ds_type, int(self.indices[row])).x for row in rows]
        maps = grad_cam(self._explained_model(), torch.stack(inputs), targets, layer)
        return [heat if fine_enough(heat, thresh) else None for heat in maps]


def heat_maps(found: Interpretation, rows: Sequence[int], heatmap_thresh: int = HEATMAP_THRESH) -> list[Tensor | None]:
    """Of rows where the score of their actual class comes from, [h, w] each; None where there is no such map."""
    return found._heat_maps(rows, None, heatmap_thresh)


def predicted(
    learn: Learner, ds_type: DatasetType, activ: Activation | None, *, tta: bool, masks_only: bool = False
) -> Predictions:
    """Predictions with losses of a dataset that has labels. Raises LearnerError if it has none."""
    ds_type = plain_type(ds_type)
    dataset_items.require_labels(ds_type)
    if tta:
        found = predict_tta(learn, ds_type, activ=activ, with_loss=True, masks_only=masks_only)
    else:
        loader = learn.data.dl(ds_type)
        found = predict_loader(learn, loader, activ=activ, with_loss=True, masks_only=masks_only)
    if not len(found.indices):
        raise LearnerError("ds_type", f"the {ds_type.name} data has no item that can be read")
    return found
