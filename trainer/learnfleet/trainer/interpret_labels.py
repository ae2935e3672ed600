"""What a classifier with several labels an item gets wrong (fastai v1 names the class and raises)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from learnfleet.trainer import plots, plots_labels
from learnfleet.trainer.confusion import ClassScores, Counts, label_counts, label_pairs, slices
from learnfleet.trainer.dataset import DatasetType
from learnfleet.trainer.decoding import names_of, thresh_of
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.interpret import Interpretation, TopLoss
from learnfleet.trainer.interpret_classes import ClassificationInterpretation

if TYPE_CHECKING:
    from learnfleet.trainer.learner import Learner

NO_LABEL = "(none)"
_AT_MOST = 20


class MultiLabelClassificationInterpretation(ClassificationInterpretation):
    """Predictions, targets and losses of a dataset with any number of labels an item.

    Attributes beside those of `Interpretation`:
        thresh: a label is predicted from this probability on.
        pred_class: float [N, C] of zeros and ones.
    """

    has_classes = False

    def __init__(
        self,
        learn: Learner,
        preds: Tensor,
        y_true: Tensor,
        losses: Tensor,
        ds_type: DatasetType = DatasetType.Valid,
        indices: Tensor | None = None,
        thresh: float | None = None,
    ) -> None:
        """Args:
        preds, y_true: [N, C].
        thresh: None: the loss's own, 0.5 unless it was given another.
        """
        Interpretation.__init__(self, learn, preds, y_true, losses, ds_type, indices)
        if preds.ndim != 2 or y_true.shape != preds.shape:
            raise LearnerError(
                "interpret",
                f"predictions {tuple(preds.shape)} with targets {tuple(y_true.shape)} are not several labels an"
                " item, which are [N, C] both: `learn.interpret()` takes what suits the labels",
            )
        self.thresh = thresh_of(learn.loss_func) if thresh is None else thresh
        self.classes += [str(index) for index in range(len(self.classes), preds.shape[1])]
        self._given, self._true = preds >= self.thresh, y_true > 0.5
        self.pred_class = self._given.float()

    @property
    def accuracy(self) -> float:
        """Share of the labels of all items that are right."""
        return float((self._given == self._true).double().mean())

    def describe(self, row: int) -> TopLoss:
        predicted, actual = (";".join(names_of(part[row], self.classes)) for part in (self._given, self._true))
        place, loss = int(self.indices[row]), float(self.losses[row])
        return TopLoss(place, predicted or NO_LABEL, actual or NO_LABEL, loss, self.probability(row))

    def tile_title(self, item: TopLoss) -> str:
        """Several names need a line for each part."""
        names = [plots.shorten(part, plots.LINE_LENGTH) for part in (item.predicted, item.actual)]
        return "\n".join([*names, f"{item.loss:.2f} / {item.probability:.2f}"])

    def probability(self, row: int) -> float | None:
        """Of the label that the model judges worst: that it gives to what is true of it."""
        return float(torch.where(self._true[row], self.preds[row], 1 - self.preds[row]).min())

    def is_right(self, row: int) -> bool | None:
        return bool((self._given[row] == self._true[row]).all())

    def explained_class(self, targets: Tensor) -> Tensor:
        raise LearnerError("heatmap", "an item with several labels has no one class to explain: heatmap=False")

    # --- what is taken for what

    def confusion_matrix(self, slice_size: int | None = 1) -> Counts:
        """For each label the counts [2, 2], together [C, 2, 2]: rows actual (no, yes), columns predicted (no, yes).

        Args:
            slice_size: items that are counted at a time; None: all at once. The result is the same.
        """
        total: Counts = np.zeros((len(self.classes), 2, 2), dtype=np.int64)
        for part in slices(len(self._true), slice_size):
            total += label_counts(self._true[part], self._given[part])
        return total

    def most_confused(self, min_val: int = 1, slice_size: int | None = 1) -> list[tuple[str, str, int]]:
        """(label that was missed, label wrongly given, items) seen at least `min_val` times, most frequent first.

        A label with no counterpart in its item stands beside "(none)".
        """
        counts = label_pairs(self._true, self._given, slice_size)
        names = [*self.classes, NO_LABEL]
        pairs = [(int(a), int(p)) for a, p in np.argwhere(counts >= max(min_val, 1))]
        return sorted(((names[a], names[p], int(counts[a, p])) for a, p in pairs), key=lambda item: -item[2])

    def class_scores(self) -> ClassScores:
        """Precision, recall, F1 and support of each label; NaN where a label never occurs."""
        return ClassScores.of_labels(self.confusion_matrix(slice_size=None))

    def confusion_figure(
        self,
        normalize: bool = False,
        title: str = "Confusion matrix",
        cmap: str = "Blues",
        slice_size: int | None = 1,
        norm_dec: int = 2,
        plot_txt: bool = True,
        figsize: tuple[float, float] | None = None,
        dpi: float | None = None,
    ) -> Figure:
        """One small matrix for each label; of more than 36 labels those with the most errors."""
        return plots_labels.labels_figure(
            self.confusion_matrix(slice_size),
            self.classes,
            normalize=normalize,
            title=title,
            cmap=cmap,
            decimals=norm_dec,
            with_text=plot_txt,
            figsize=figsize,
            dpi=dpi,
        )

    # --- misclassified items

    def misclassified(self) -> list[TopLoss]:
        """The items with at least one wrong label, greatest loss first."""
        rows = self.top_rows(None, largest=True)[1].tolist()
        return [self.describe(row) for row in rows if not self.is_right(row)]

    def plot_multi_top_losses(
        self, samples: int = 3, figsize: tuple[float, float] = (8, 8), save_misclassified: bool = False
    ) -> Figure | tuple[Figure, list[TopLoss]]:
        """The misclassified pictures with the greatest losses, and how many there are of how many.

        Args:
            samples: 1 to 20 pictures.
            figsize: inches.
            save_misclassified: give all misclassified items too.
        """
        figure = self.multi_top_losses_figure(samples, figsize)
        return (figure, self.misclassified()) if save_misclassified else figure

    def multi_top_losses_figure(self, samples: int = 3, figsize: tuple[float, float] | None = None) -> Figure:
        """What `plot_multi_top_losses` gives."""
        if not 0 < samples <= _AT_MOST:
            raise ValueError(f"samples: {samples} pictures cannot be shown; give 1 to {_AT_MOST}")
        rows = [row for row in self.top_rows(None, largest=True)[1].tolist() if not self.is_right(row)]
        part = "validation" if self.ds_type is DatasetType.Valid else self.ds_type.name.lower()
        heading = f"{len(rows)} misclassified samples over {len(self.losses)} samples in the {part} set."
        tiles = [self._tile(row, None, show_text=True) for row in rows[:samples]]
        return plots.tiles_figure(tiles, f"{heading}\n{self.tile_heading}" if tiles else heading, figsize=figsize)
