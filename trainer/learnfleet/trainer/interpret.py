"""What a classifier gets wrong (fastai v1 `ClassificationInterpretation`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch
from matplotlib.figure import Figure
from torch import Tensor

from learnfleet.trainer import plots
from learnfleet.trainer.data import DatasetType
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.inference import Predictions, predict_loader

if TYPE_CHECKING:
    from learnfleet.trainer.learner import Learner


@dataclass(frozen=True)
class TopLoss:
    """One item and how the model fares on it."""

    index: int  # in the dataset
    predicted: str
    actual: str
    loss: float
    probability: float  # that the model gives the actual class


class ClassificationInterpretation:
    """Predictions, targets and losses of a whole dataset, and what can be read from them."""

    def __init__(self, learner: Learner, predictions: Predictions, ds_type: DatasetType = DatasetType.Valid) -> None:
        if predictions.losses is None:
            raise LearnerError("interpret", "losses are needed: predict with_loss=True")
        self.learner, self.ds_type = learner, ds_type
        self.classes = [str(name) for name in learner.data.classes]
        self.preds, self.y_true, self.losses = predictions.outputs, predictions.targets, predictions.losses
        self.indices = predictions.indices
        self.pred_class = self.preds.argmax(dim=1)

    @classmethod
    def from_learner(cls, learner: Learner, ds_type: DatasetType = DatasetType.Valid) -> ClassificationInterpretation:
        """Run the model over a dataset. Every rank must call, and gets everything. Train means Fix: in order, whole."""
        ds_type = DatasetType.Fix if ds_type is DatasetType.Train else ds_type
        return cls(learner, predict_loader(learner, learner.data.dl(ds_type), with_loss=True), ds_type)

    @property
    def accuracy(self) -> float:
        return float((self.pred_class == self.y_true).double().mean())

    @property
    def mean_loss(self) -> float:
        return float(self.losses.double().mean())

    def top_losses(self, k: int | None = None, largest: bool = True) -> tuple[Tensor, Tensor]:
        """The k largest (or smallest) losses and the positions of their items in the dataset. Default: all, sorted."""
        values, rows = self._top_rows(k, largest)
        return values, self.indices[rows]

    def _top_rows(self, k: int | None, largest: bool) -> tuple[Tensor, Tensor]:
        count = len(self.losses)
        if k is not None and not 0 < k <= count:
            raise ValueError(f"k: {k} losses of {count} items cannot be listed; give 1 to {count}")
        order = torch.argsort(self.losses, descending=largest, stable=True)[:k]
        return self.losses[order], order

    def describe_top_losses(self, k: int | None = None, largest: bool = True) -> list[TopLoss]:
        """The items with the k largest losses, with class names."""
        values, rows = self._top_rows(k, largest)
        return [self._describe(row, loss) for row, loss in zip(rows.tolist(), values.tolist(), strict=True)]

    def _describe(self, row: int, loss: float) -> TopLoss:
        actual, predicted = int(self.y_true[row]), int(self.pred_class[row])
        probability = float(self.preds[row, actual])
        return TopLoss(int(self.indices[row]), self.classes[predicted], self.classes[actual], loss, probability)

    def confusion_matrix(self) -> npt.NDArray[np.int64]:
        """Counts [C, C]: rows are actual classes, columns predicted ones."""
        n = len(self.classes)
        counts = torch.bincount(self.y_true * n + self.pred_class, minlength=n * n)
        matrix: npt.NDArray[np.int64] = counts.reshape(n, n).numpy().astype(np.int64)
        return matrix

    def most_confused(self, min_val: int = 1) -> list[tuple[str, str, int]]:
        """(actual, predicted, count) of the wrong pairs seen at least `min_val` times, most frequent first."""
        matrix = self.confusion_matrix()
        np.fill_diagonal(matrix, 0)
        pairs = [(int(a), int(p)) for a, p in np.argwhere(matrix >= max(min_val, 1))]
        found = [(self.classes[a], self.classes[p], int(matrix[a, p])) for a, p in pairs]
        return sorted(found, key=lambda item: -item[2])

    def plot_confusion_matrix(
        self,
        normalize: bool = False,
        title: str = "Confusion matrix",
        cmap: str = "Blues",
        norm_dec: int = 2,
        plot_txt: bool = True,
    ) -> Figure:
        """The confusion matrix as a figure; `normalize` shows shares of each actual class."""
        matrix = self.confusion_matrix()
        return plots.confusion_figure(
            matrix, self.classes, normalize=normalize, title=title, cmap=cmap, decimals=norm_dec, with_text=plot_txt
        )

    def plot_top_losses(self, k: int, largest: bool = True, cmap: str = "magma", show_text: bool = True) -> Figure:
        """The pictures with the k largest losses, titled Prediction / Actual / Loss / Probability (of the actual)."""
        items = self.describe_top_losses(min(k, len(self.losses)), largest)
        tiles = [plots.Tile(self._open(item.index), _title(item) if show_text else "") for item in items]
        return plots.tiles_figure(tiles, "Prediction / Actual / Loss / Probability" if show_text else "", cmap)

    def _open(self, index: int) -> npt.NDArray[np.uint8]:
        open_item = getattr(self.learner.data, "open_item", None)
        if open_item is None:
            raise LearnerError("plot_top_losses", "this data has no pictures that can be opened")
        return plots.as_picture(open_item(self.ds_type, index))


def _title(item: TopLoss) -> str:
    return f"{plots.shorten(item.predicted)} / {plots.shorten(item.actual)} / {item.loss:.2f} / {item.probability:.2f}"
