"""What a segmentation model takes for what (fastai v1 `SegmentationInterpretation`)."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Self

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from torch import Tensor

from learnfleet.trainer import plots, plots_masks
from learnfleet.trainer.confusion import (
    ClassScores,
    Counts,
    Scores,
    confused_pairs,
    confusion_counts,
    mean_of_known,
    row_shares,
)
from learnfleet.trainer.dataset import DatasetType
from learnfleet.trainer.decoding import predicted_classes, thresh_of, void_of
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.inference import compact
from learnfleet.trainer.interpret import Interpretation, TopLoss, TopLosses, predicted
from learnfleet.trainer.losses import Activation

if TYPE_CHECKING:
    from learnfleet.trainer.learner import Learner


class SegmentationInterpretation(Interpretation):
    """Masks, targets and losses of a dataset with a class for each pixel.

    Pixels of the void class (the loss's `ignore_index`, or `void_code`) are counted nowhere.

    Attributes beside those of `Interpretation`:
        pred_class: uint8 [N, H, W]; `preds` is the same unless probabilities were given.
        y_true: uint8 [N, H, W].
        losses: float [N], the mean over each item's pixels.
    """

    def __init__(
        self,
        learn: Learner,
        preds: Tensor,
        y_true: Tensor,
        losses: Tensor,
        ds_type: DatasetType = DatasetType.Valid,
        indices: Tensor | None = None,
        void_code: int | None = None,
    ) -> None:
        """Args:
        preds: probabilities [N, C, H, W], or masks [N, H, W].
        y_true: masks [N, 1, H, W] or [N, H, W].
        losses: one an item [N], or one a pixel (fastai v1: flattened).
        """
        masks = preds if preds.ndim == 3 else predicted_classes(preds, thresh_of(learn.loss_func))
        if masks.ndim != 3 or y_true.numel() != masks.numel() or losses.numel() % max(len(masks), 1):
            raise LearnerError(
                "interpret",
                f"predictions {tuple(preds.shape)} with targets {tuple(y_true.shape)} are no masks of items:"
                " `learn.interpret()` takes what suits the labels",
            )
        per_item = losses.reshape(len(masks), -1).mean(dim=1)
        targets = compact(y_true.reshape(masks.shape))
        super().__init__(learn, preds, targets, per_item, ds_type, indices)
        self.pred_class = compact(masks)
        self.void_code = void_code if void_code is not None else void_of(learn.loss_func)

    @classmethod
    def from_learner(
        cls,
        learn: Learner,
        ds_type: DatasetType = DatasetType.Valid,
        activ: Activation | None = None,
        tta: bool = False,
    ) -> Self:
        """As `Interpretation.from_learner`; of every pixel only the most probable class is kept, in a byte."""
        return cls.of(learn, predicted(learn, ds_type, activ, tta=tta, masks_only=True), ds_type)

    @property
    def accuracy(self) -> float:
        """Share of the pixels that are right."""
        counts = self.confusion_matrix()
        total = int(counts.sum())
        return float(counts.trace() / total) if total else float("nan")

    def masks_of(self, row: int) -> tuple[Tensor, Tensor]:
        """(actual, predicted), int64 [H, W]."""
        return self.y_true[row].long(), self.pred_class[row].long()

    def top_losses(  # type: ignore[override]  # fastai's: the size of the masks comes first
        self, sizes: Sequence[int] | None = None, k: int | None = None, largest: bool = True
    ) -> TopLosses:
        """The k largest (or smallest) mean losses and the positions of their items in the dataset.

        Args:
            sizes: (rows, columns) of the masks; None: as they are. (fastai v1 needs them to group pixels by item.)
        """
        shape = tuple(self.y_true.shape[1:])
        if sizes is not None and tuple(sizes) != shape:
            raise LearnerError("sizes", f"{tuple(sizes)} was given, but the masks have {shape} rows and columns")
        values, rows = self.top_rows(k, largest)
        return TopLosses(values, self.indices[rows])

    def describe(self, row: int) -> TopLoss:
        """Its greatest confusion (actual, predicted), its loss, and the share of its pixels that are right."""
        counts = self._counts_of(row)
        right = counts.trace() / max(int(counts.sum()), 1)
        np.fill_diagonal(counts, 0)
        actual, given = np.unravel_index(int(counts.argmax()), counts.shape)
        names = ("", "") if not counts.any() else (self.classes[given], self.classes[actual])
        return TopLoss(int(self.indices[row]), *names, float(self.losses[row]), float(right))

    # --- what is taken for what

    def confusion_matrix(self, slice_size: int | None = 1) -> Counts:
        """Pixels [C, C]: rows are actual classes, columns predicted ones. Void pixels are left out.

        Args:
            slice_size: items that are counted at a time; None: all at once. The result is the same.
        """
        return confusion_counts(self.y_true, self.pred_class, len(self.classes), slice_size, self.void_code)

    def most_confused(self, min_val: int = 1, slice_size: int | None = 1) -> list[tuple[str, str, int]]:
        """(actual, predicted, pixels) of the wrong pairs seen in at least `min_val` pixels, most frequent first."""
        return confused_pairs(self.confusion_matrix(slice_size), self.classes, min_val)

    def _counts_of(self, row: int) -> Counts:
        return confusion_counts(self.y_true[row], self.pred_class[row], len(self.classes), None, self.void_code)

    def _generate_confusion(self) -> tuple[Scores, Scores]:
        return self.generate_confusion()

    def generate_confusion(self) -> tuple[Scores, Scores]:
        """P(predicted | actual): its mean [C, C] over the items that have the class, and that of each item [N, C, C].

        Rows of classes that do not occur are NaN. (fastai's name is `_generate_confusion`.)
        """
        single = np.stack([row_shares(self._counts_of(row)) for row in range(len(self.losses))])
        known = ~np.isnan(single)
        mean = np.full(single.shape[1:], np.nan)
        np.divide(np.where(known, single, 0).sum(axis=0), known.sum(axis=0), out=mean, where=known.any(axis=0))
        return mean, single

    def _plot_intersect_cm(self, cm: Scores, title: str = "Intersection with Predict given True") -> pd.DataFrame:
        _display(self.plot_intersect_cm(cm, title))
        return self.intersect_scores(cm)

    def plot_intersect_cm(self, cm: Scores, title: str = "Intersection with Predict given True") -> Figure:
        """A matrix of `generate_confusion` as a figure; rows of classes that do not occur stay blank."""
        return plots.shares_figure(cm, self.classes, title=title)

    def intersect_scores(self, cm: Scores) -> pd.DataFrame:
        """label and score of each class (the diagonal), greatest first."""
        frame = pd.DataFrame({"label": self.classes, "score": cm.diagonal()})
        return frame.sort_values("score", ascending=False, ignore_index=True)

    def class_scores(self) -> ClassScores:
        """IoU, Dice (f1), precision, recall and pixels of each class over the whole dataset; NaN where it is absent."""
        return ClassScores.of_classes(self.confusion_matrix(slice_size=None))

    def iou_report(self) -> pd.DataFrame:
        """iou, dice and pixels by class, then their mean over the classes that occur. Void has no row."""
        scores = self.class_scores()
        frame = pd.DataFrame(
            {"iou": scores.iou, "dice": scores.f1, "pixels": scores.support}, index=pd.Index(self.classes, name="class")
        )
        if self.void_code is not None and self.void_code < len(self.classes):
            frame = frame.drop(index=frame.index[self.void_code])
        means = [mean_of_known(frame[name].to_numpy()) for name in ("iou", "dice")]
        frame.loc["mean"] = [*means, int(frame["pixels"].sum())]
        return frame.astype({"pixels": "int64"})

    # --- pictures

    def show_xyz(
        self, i: int, classes: Sequence[str] | None = None, sz: float = 10, return_fig: bool | None = None
    ) -> Figure | None:
        """Item `i` of the dataset, its mask, and the predicted one.

        Args:
            classes: names for the legend. None: the data's.
            sz: inches across.
        """
        row = self._row_of(i)
        named = classes or self.classes
        figure = plots_masks.masks_figure([self._tiles(row)], named, void=self.void_code, width=sz)
        return plots.asked_for(figure, return_fig)

    def _row_of(self, index: int) -> int:
        rows = (self.indices == index).nonzero().flatten().tolist()
        if not rows:
            raise LearnerError("i", f"there is no item {index} in the {self.ds_type.name} data, or it cannot be read")
        return int(rows[0])

    def _tiles(self, row: int) -> list[plots_masks.MaskTile]:
        actual, given = self.masks_of(row)
        picture, loss = self.picture(row), float(self.losses[row])
        return [
            plots_masks.MaskTile(picture, None, f"item {int(self.indices[row])}, loss {loss:.2f}"),
            plots_masks.MaskTile(picture, actual.numpy(), "Ground truth"),
            plots_masks.MaskTile(picture, given.numpy(), "Prediction"),
        ]

    def top_losses_figure(
        self,
        k: int,
        largest: bool = True,
        figsize: tuple[float, float] | None = None,
        heatmap: bool | None = False,
        heatmap_thresh: int = 16,
        alpha: float = 0.6,
        cmap: str = "magma",
        show_text: bool = True,
    ) -> Figure:
        """The k items with the largest losses: picture, ground truth, prediction. `alpha`: of the masks.

        Raises LearnerError for heatmap=True: a mask has no one score to explain.
        """
        if heatmap:
            self.explained_class(self.y_true)
        rows = self.top_rows(min(k, len(self.losses)), largest)[1].tolist()
        tiles = [self._tiles(row) for row in rows]
        if not show_text:
            tiles = [[plots_masks.MaskTile(tile.picture, tile.mask) for tile in row] for row in tiles]
        return plots_masks.masks_figure(tiles, self.classes, alpha=alpha, void=self.void_code, figsize=figsize)


def _display(figure: Figure) -> None:
    """Show a figure in a notebook, whose cell gives something else; nothing anywhere else."""
    ipython = sys.modules.get("IPython")
    if ipython is not None and ipython.get_ipython() is not None:
        from IPython.display import display

        display(figure)  # type: ignore[no-untyped-call]
