"""What a classifier takes for what (fastai v1 `ClassificationInterpretation`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self, cast

import pandas as pd
from matplotlib.figure import Figure
from torch import Tensor, nn

from learnfleet.trainer import plots
from learnfleet.trainer.confusion import ClassScores, Counts, confused_pairs, confusion_counts, mean_of_known
from learnfleet.trainer.dataset import DatasetType
from learnfleet.trainer.decoding import category, predicted_classes
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.grad_cam import NoAndYes
from learnfleet.trainer.inference import Predictions
from learnfleet.trainer.interpret import Interpretation, TopLoss

if TYPE_CHECKING:
    from learnfleet.trainer.learner import Learner


class ClassificationInterpretation(Interpretation):
    """Predictions, targets and losses of a dataset with one class an item.

    Attributes beside those of `Interpretation`:
        pred_class: int64 [N].
        classes: their names; classes that never occur are among them.
    """

    tile_heading = "Prediction / Actual / Loss / Probability"
    has_classes = True

    def __init__(
        self,
        learn: Learner,
        preds: Tensor,
        y_true: Tensor,
        losses: Tensor,
        ds_type: DatasetType = DatasetType.Valid,
        indices: Tensor | None = None,
    ) -> None:
        super().__init__(learn, preds, y_true, losses, ds_type, indices)
        if preds.ndim != 2 or y_true.shape != preds.shape[:1] or _are_numbers(y_true):
            raise LearnerError(
                "interpret",
                f"predictions {tuple(preds.shape)} with targets {tuple(y_true.shape)} of {y_true.dtype} are not one"
                " class an item: `learn.interpret()` takes what suits the labels",
            )
        self.pred_class = predicted_classes(preds)
        missing = range(len(self.classes), max(preds.shape[1], 2))
        self.classes += [str(index) for index in missing]  # outputs that the data has no name for

    @classmethod
    def of(cls, learn: Learner, found: Predictions, ds_type: DatasetType) -> Self:
        """Of predictions with losses; of several labels an item what `learn.interpret()` makes of them."""
        if cls is ClassificationInterpretation and found.targets.ndim == 2:
            from learnfleet.trainer.interpret_labels import MultiLabelClassificationInterpretation

            return cast("Self", MultiLabelClassificationInterpretation.of(learn, found, ds_type))
        return super().of(learn, found, ds_type)

    @property
    def accuracy(self) -> float:
        return float((self.pred_class == self.y_true).double().mean())

    def item(self, values: Tensor) -> object:
        index = int(values) if values.ndim == 0 else int(predicted_classes(values.unsqueeze(0)))
        return category(index, self.classes)

    def probability(self, row: int) -> float | None:
        """That the model gives to the actual class (fastai v2: the greatest of all)."""
        actual, values = int(self.y_true[row]), self.preds[row]
        if len(values) == 1:
            return float(values[0] if actual else 1 - values[0])
        return float(values[actual])

    def is_right(self, row: int) -> bool | None:
        return bool(self.pred_class[row] == self.y_true[row])

    def explained_class(self, targets: Tensor) -> Tensor:
        return targets.long()

    def _explained_model(self) -> nn.Module:
        model = self.learn.model
        return model if self.preds.shape[1] > 1 else NoAndYes(model)

    # --- what is taken for what

    def confusion_matrix(self, slice_size: int | None = 1) -> Counts:
        """Counts [C, C]: rows are actual classes, columns predicted ones.

        Args:
            slice_size: items that are counted at a time; None: all at once. The result is the same.
        """
        return confusion_counts(self.y_true, self.pred_class, len(self.classes), slice_size)

    def most_confused(self, min_val: int = 1, slice_size: int | None = 1) -> list[tuple[str, str, int]]:
        """(actual, predicted, count) of the wrong pairs seen at least `min_val` times, most frequent first."""
        return confused_pairs(self.confusion_matrix(slice_size), self.classes, min_val)

    def plot_confusion_matrix(
        self,
        normalize: bool = False,
        title: str = "Confusion matrix",
        cmap: str = "Blues",
        slice_size: int | None = 1,
        norm_dec: int = 2,
        plot_txt: bool = True,
        return_fig: bool | None = None,
        figsize: tuple[float, float] | None = None,
        dpi: float | None = None,
    ) -> Figure | None:
        """The confusion matrix as a figure.

        Args:
            normalize: shares of each actual class, with `norm_dec` decimals; a class that never occurs stays blank.
            plot_txt: write the numbers, where they can be read (up to 30 classes).
            figsize: inches. None: by the number of classes.
            dpi: pixels an inch. None: 110.
        """
        figure = self.confusion_figure(normalize, title, cmap, slice_size, norm_dec, plot_txt, figsize, dpi)
        return plots.asked_for(figure, return_fig)

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
        """What `plot_confusion_matrix` gives."""
        return plots.confusion_figure(
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

    def plot_multi_top_losses(
        self, samples: int = 3, figsize: tuple[float, float] = (8, 8), save_misclassified: bool = False
    ) -> Figure | tuple[Figure, list[TopLoss]]:
        """Of several labels an item alone. Raises LearnerError."""
        raise LearnerError("plot_multi_top_losses", "the items have one class each: use plot_top_losses")

    # --- each class

    def class_scores(self) -> ClassScores:
        """Precision, recall, F1 and support of each class; NaN where a class never occurs."""
        return ClassScores.of_classes(self.confusion_matrix(slice_size=None))

    def classification_report(self) -> pd.DataFrame:
        """precision, recall, f1 and support by class, then their plain mean and that weighted by support.

        A class that never occurs has NaN, and is left out of the means (scikit-learn counts it as 0).
        """
        return report_of(self.class_scores(), self.classes)


def _are_numbers(targets: Tensor) -> bool:
    """Whether targets [N] are no classes. 0.0 and 1.0 are those of a single output."""
    return targets.is_floating_point() and not bool(((targets == 0) | (targets == 1)).all())


def report_of(scores: ClassScores, classes: list[str]) -> pd.DataFrame:
    """Scores as a table with a row for each class and two for the means."""
    columns = {"precision": scores.precision, "recall": scores.recall, "f1": scores.f1}
    frame = pd.DataFrame({**columns, "support": scores.support}, index=pd.Index(classes, name="class"))
    total = int(scores.support.sum())
    frame.loc["macro avg"] = [*(mean_of_known(values) for values in columns.values()), total]
    frame.loc["weighted avg"] = [*(mean_of_known(values, scores.support) for values in columns.values()), total]
    return frame.astype({"support": "int64"})
