"""What a model gets wrong (fastai's interpretations)."""

from __future__ import annotations

import mimetypes
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from learnfleet.client.arrays import Array
from learnfleet.client.confusion import Look, confusion_picture
from learnfleet.client.dataset_types import DatasetType
from learnfleet.client.figures import Figsize
from learnfleet.client.figures import Picture as Picture
from learnfleet.client.found import LOSSES_FILE, ClassReport, Found, TopLoss, read_losses
from learnfleet.client.found_html import as_html
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

Again: TypeAlias = "Callable[[int, bool], Interpretation]"

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
        again: Again | None = None,
        read: Callable[[str], bytes] | None = None,
    ) -> None:
        """`again`: interprets anew with so many of the greatest, or else of the least, losses. `read`: gives a file of
        it.
        """
        self.found, self._again, self._read = found, again, read
        self._all: tuple[TopLoss, ...] | None = None  # items, once they were read

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
        again: Again | None = None,
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

    def top_losses(self, k: int | None = None, largest: bool = True) -> TopLosses:
        """The k largest (or smallest) losses, and the positions of their items in the data set. Default: all, sorted.

        Raises ValueError if there are not so many.
        """
        items = self.describe_top_losses(k, largest)
        return TopLosses(Array.of([item.loss for item in items]), Array.of([item.index for item in items], "q"))

    def describe_top_losses(self, k: int | None = None, largest: bool = True) -> list[TopLoss]:
        """The items with the k largest (or smallest) losses, with names and files. As `top_losses`."""
        listed = self.found.top_losses if largest else self.found.least_losses
        items = listed if k is not None and 0 < k <= len(listed) else self._items(largest)
        if k is not None and not 0 < k <= len(items):
            raise ValueError(f"k: {k} losses of {len(items)} items cannot be listed; give 1 to {len(items)}")
        return list(items[:k])

    def _items(self, largest: bool) -> tuple[TopLoss, ...]:
        """All of them, in order; those that were listed where there is no file of all."""
        if LOSSES_FILE not in self.found.files:
            return self.found.top_losses if largest else self.found.least_losses
        if self._all is None:
            self._all = read_losses(self.file(LOSSES_FILE), (*self.found.top_losses, *self.found.least_losses))
        return self._all if largest else tuple(sorted(self._all, key=lambda item: item.loss))

    def plot_top_losses(
        self, k: int | None = None, largest: bool = True, figsize: Figsize = None, heatmap: bool = False
    ) -> Picture:
        """The pictures with the k largest (or smallest) losses. Default: as many as `interpret` drew.

        Args:
            k: where it is another number, the learner is interpreted again as it is now.
            figsize: inches that a notebook shows it in.
            heatmap: where the score of the actual class comes from, laid over each.
        """
        name = f"{'top' if largest else 'least'}_losses{'_heatmap' if heatmap else ''}"
        return self._drawn(k, largest)._picture(name).sized(figsize)

    def _drawn(self, k: int | None, largest: bool = True) -> Interpretation:
        """What has a plot of k pictures."""
        drawn = len(self.found.top_losses if largest else self.found.least_losses)
        wanted = min(k or _ROWS_SHOWN, self.found.examples)
        if wanted == drawn or (k is None and (drawn or largest)):
            return self
        if self._again is None:
            asked = f"{'top' if largest else 'least'}_losses={wanted}"
            raise ValueError(f"{drawn} pictures were drawn: ask interpret({asked})")
        return self._again(wanted, largest)

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

    def plot_confusion_matrix(
        self,
        normalize: bool = False,
        title: str = "Confusion matrix",
        cmap: str = "Blues",
        norm_dec: int = 2,
        plot_txt: bool = True,
        figsize: Figsize = None,
        dpi: float | None = None,
    ) -> Picture:
        """The confusion matrix, as the server has drawn it; or drawn here, by matplotlib, where another look is wanted.

        Args:
            normalize: shares of each actual class, with `norm_dec` decimals; a class that never occurs stays blank.
            title, cmap, norm_dec, plot_txt, dpi: as of the trainer's; of single classes alone.
            figsize: inches.
        """
        name = "confusion_matrix_normalized" if normalize else "confusion_matrix"
        if (title, cmap, norm_dec, plot_txt, dpi) == ("Confusion matrix", "Blues", 2, True, None):
            return self._picture(name).sized(figsize)
        look = Look(normalize, title, cmap, norm_dec, plot_txt, figsize, dpi)
        return confusion_picture(name, self.found.confusion_matrix, self.classes, look)

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
        return as_html(self.found)


# fastai's names.
ClassificationInterpretation = MultiLabelClassificationInterpretation = SegmentationInterpretation = Interpretation
