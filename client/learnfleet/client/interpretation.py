"""What a model gets wrong (fastai's interpretations)."""

from __future__ import annotations

import mimetypes
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from learnfleet.client import cards
from learnfleet.client.arrays import Array
from learnfleet.client.dataset_types import DatasetType
from learnfleet.client.figures import Figsize
from learnfleet.client.figures import Picture as Picture
from learnfleet.client.found import ClassReport, Found, TopLoss
from learnfleet.client.found_measures import (
    Calibration,
    ClassCurves,
    Comparison,
    DuplicateGroup,
    LabelIssue,
    NamedItem,
    Outlier,
    Slice,
)
from learnfleet.v1 import interpretation_service_pb2

if TYPE_CHECKING:
    from learnfleet.client.examining import Examining

_ROWS_SHOWN = 9
_REPORT = "report.html"


class TopLosses(NamedTuple):
    """As torch.topk gives them."""

    values: Array  # float64 [k]
    indices: Array  # int64 [k], positions in the data set


class Interpretation:
    """What a model gets wrong on a data set, whatever its labels are: fastai's classes of that name are this one.

    The server has drawn the plots. What it found is in `found`; its fields can be read here, too (`accuracy`,
    `examples`, `class_report`, `misclassified`, ...).
    """

    name: str
    learner: str
    checkpoint: str
    examples: int
    accuracy: float
    loss: float
    pictures: tuple[Picture, ...]
    skipped_images: int
    kind: str
    class_report: tuple[ClassReport, ...]
    label_confusion: tuple[tuple[tuple[int, ...], ...], ...]
    misclassified_count: int
    misclassified: tuple[TopLoss, ...]
    intersection: tuple[tuple[float, ...], ...]
    model: str
    calibration: Calibration | None
    curves: tuple[ClassCurves, ...]
    label_issues: tuple[LabelIssue, ...]
    label_issues_caveat: str
    duplicates: tuple[DuplicateGroup, ...]
    outliers: tuple[Outlier, ...]
    slices: tuple[Slice, ...]
    comparison: Comparison | None
    parts: tuple[str, ...]
    files: tuple[str, ...]

    def __init__(
        self,
        found: Found,
        again: Callable[[int], Interpretation] | None = None,
        read: Callable[[str], bytes] | None = None,
    ) -> None:
        """`again`: interprets anew with so many top losses. `read`: gives a file of it."""
        self.found, self._again, self._read = found, again, read

    @classmethod
    def from_learner(
        cls, learn: Examining, ds_type: DatasetType = DatasetType.Valid, tta: bool = False
    ) -> Interpretation:
        """`learn.interpret(ds_type, tta)`."""
        return learn.interpret(ds_type, tta)

    @classmethod
    def from_proto(
        cls,
        message: interpretation_service_pb2.Interpretation,
        again: Callable[[int], Interpretation] | None = None,
        read: Callable[[str], bytes] | None = None,
    ) -> Interpretation:
        return cls(Found.from_proto(message), again, read)

    if not TYPE_CHECKING:  # checkers know the fields above and no others

        def __getattr__(self, name: str) -> Any:
            """A field of what was found; only called for what is not here."""
            if name.startswith("_") or name == "found" or name not in Found.__dataclass_fields__:
                raise AttributeError(f"an Interpretation has no {name!r}")
            return getattr(self.found, name)

    @property
    def classes(self) -> list[str]:
        return list(self.found.classes)

    @property
    def mean_loss(self) -> float:
        return self.found.loss

    # --- files

    def file(self, name: str) -> bytes:
        """A file that it names: one of `files`, the `picture` or `heat_map` of an item.

        Raises InvalidArgumentError for a file that there is not, ValueError where it was not read by a `Client`.
        """
        if self._read is None:
            raise ValueError(f"its files are read by `await client.interpretation_file({self.found.name!r}, {name!r})`")
        return self._read(name)

    def picture_of(self, item: TopLoss | LabelIssue | NamedItem) -> Picture:
        """The picture of an item as the model sees it. Raises ValueError for one that has none."""
        if not item.picture:
            raise ValueError(f"{item.path} has no picture here")
        kind = mimetypes.guess_type(item.picture)[0] or "application/octet-stream"
        return Picture(item.picture, kind, self.file(item.picture))

    def report(self, path: str | Path | None = None, *, show: bool | None = None) -> Path:
        """Save the page of all that was found, which needs no network, and return where it is.

        Args:
            path: a file, or a folder. Default: a new temporary folder.
            show: open it in a browser. Default: where no path is given.
        """
        import tempfile
        import webbrowser

        content = self.file(_REPORT)
        target = Path(tempfile.mkdtemp(prefix="learnfleet-")) if path is None else Path(path)
        if target.is_dir():
            target = target / f"{self.found.name.rpartition('/')[2]}.html"
        target.write_bytes(content)
        if show or (show is None and path is None):
            webbrowser.open(target.resolve().as_uri())
        return target

    # --- the items with the greatest losses

    def top_losses(self, k: int | None = None) -> TopLosses:
        """The k largest losses, and the positions of their items in the data set. Default: all that were asked for.

        Raises ValueError for more than `interpret(top_losses=...)` asked for.
        """
        worst = self.describe_top_losses(k)
        return TopLosses(Array.of([item.loss for item in worst]), Array.of([item.index for item in worst], "q"))

    def describe_top_losses(self, k: int | None = None) -> list[TopLoss]:
        """The items with the k largest losses, with names and files. Raises ValueError as `top_losses`."""
        worst = self.found.top_losses
        if k is not None and not 0 < k <= len(worst):
            raise ValueError(f"k is {k}; must be 1 to {len(worst)}: ask interpret(top_losses={k}) for more")
        return list(worst[:k])

    def plot_top_losses(self, k: int | None = None, figsize: Figsize = None, heatmap: bool = False) -> Picture:
        """The pictures with the k largest losses. Default: as many as `interpret(top_losses=...)` asked for.

        Args:
            k: where it is another number, the learner is interpreted again as it is now.
            figsize: inches that a notebook shows it in.
            heatmap: where the score of the actual class comes from, laid over each.
        """
        whole = self._drawn(k)
        return whole._picture("top_losses_heatmap" if heatmap else "top_losses").sized(figsize)

    def _drawn(self, k: int | None) -> Interpretation:
        """What has a plot of k pictures."""
        wanted = len(self.found.top_losses) if k is None else min(k, self.found.examples)
        if wanted == len(self.found.top_losses):
            return self
        if self._again is None:
            raise ValueError(f"{len(self.found.top_losses)} pictures were drawn: ask interpret(top_losses={k})")
        return self._again(wanted)

    def plot_multi_top_losses(
        self, samples: int | None = None, figsize: Figsize = None, save_misclassified: bool = False
    ) -> Picture | tuple[Picture, tuple[TopLoss, ...]]:
        """Of several labels: the misclassified pictures with the greatest losses, up to 20; `samples` as `k` above.
        `save_misclassified`: give all misclassified items too.
        """
        picture = self._drawn(samples)._picture("multi_top_losses").sized(figsize)
        return (picture, self.found.misclassified) if save_misclassified else picture

    # --- what is taken for what

    def confusion_matrix(self) -> Array:
        """Counts, int64 [C, C]: rows are actual classes, columns predicted ones."""
        rows = self.found.confusion_matrix
        flat = Array.of([count for row in rows for count in row], "q")
        return flat.reshaped((len(rows), len(rows[0]) if rows else 0))

    def most_confused(self, min_val: int = 1) -> list[tuple[str, str, int]]:
        """(actual, predicted, count) of the wrong pairs seen at least `min_val` times, most frequent first."""
        pairs = self.found.most_confused
        return [(pair.actual, pair.predicted, pair.count) for pair in pairs if pair.count >= min_val]

    def plot_confusion_matrix(self, normalize: bool = False, figsize: Figsize = None) -> Picture:
        """The confusion matrix. `normalize`: shares of each actual class. `figsize`: inches it is shown in."""
        name = "confusion_matrix_normalized" if normalize else "confusion_matrix"
        return self._picture(name).sized(figsize)

    def classification_report(self) -> tuple[ClassReport, ...]:
        """Precision, recall, F1 and support by class: `class_report`."""
        return self.found.class_report

    # --- of masks

    def generate_confusion(self) -> tuple[tuple[float, ...], ...]:
        """Of masks: `intersection`. Those of single pictures stay on the server."""
        return self.found.intersection

    def plot_intersect_cm(self) -> Picture:
        """Of masks: `intersection` as a picture."""
        return self._picture("confusion_matrix_normalized")

    def intersect_scores(self) -> list[tuple[str, float | None]]:
        """Of masks: (label, score) of each class, greatest first; None for classes that do not occur."""
        rows = zip(self.classes, self.found.intersection, strict=False)
        scores = [(label, row[place] if row else None) for place, (label, row) in enumerate(rows)]
        return sorted(scores, key=lambda item: -1.0 if item[1] is None else item[1], reverse=True)

    def iou_report(self) -> list[tuple[str, float | None, float | None, int]]:
        """Of masks: (class, IoU, Dice, pixels) of each class, and the means over those that occur as "mean"."""
        rows = [(item.class_name, item.iou, item.f1, item.support) for item in self.found.class_report]
        ious, dices = [row[1] for row in rows if row[1] is not None], [row[2] for row in rows if row[2] is not None]
        iou, dice = (sum(values) / len(values) if values else None for values in (ious, dices))
        return [*rows, ("mean", iou, dice, sum(row[3] for row in rows))]

    def _picture(self, name: str) -> Picture:
        found = {picture.name: picture for picture in self.found.pictures}
        if name not in found:
            raise ValueError(f"{name!r} was not drawn; there are {', '.join(found) or 'no pictures'}")
        return found[name]

    def __repr__(self) -> str:
        return f"Interpretation({self.found.learner}, {self.found.examples} items, loss {self.found.loss:.4f})"

    def _repr_html_(self) -> str:
        found = self.found
        areas = [curve.auroc for curve in found.curves if curve.auroc is not None]
        compared = found.comparison
        facts = {
            "learner": found.learner,
            "model": found.model,
            "items": found.examples,
            "accuracy": f"{found.accuracy:.4f}" if found.kind != "float" else None,
            "loss": f"{found.loss:.4f}",
            "calibration error": f"{found.calibration.ece:.4f}" if found.calibration else None,
            "AUROC": f"{sum(areas) / len(areas):.4f}" if areas else None,
            "likely label errors": len(found.label_issues) or None,
            "against": f"{compared.baseline}: {compared.fixed} fixed, {compared.broken} broken" if compared else None,
            "left out": found.skipped_images or None,
        }
        confused = cards.table(("actual", "predicted", "count"), self.most_confused()[:_ROWS_SHOWN])
        worst = [
            (item.path, item.predicted, item.actual, f"{item.loss:.3f}", f"{item.probability:.3f}")
            for item in found.top_losses[:_ROWS_SHOWN]
        ]
        listed = cards.table(("picture", "predicted", "actual", "loss", "probability"), worst)
        return cards.card(found.name, facts) + (confused if found.most_confused else "") + listed


# fastai's names.
ClassificationInterpretation = MultiLabelClassificationInterpretation = SegmentationInterpretation = Interpretation
