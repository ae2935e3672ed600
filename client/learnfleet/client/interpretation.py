"""What an interpretation found, and the pictures that jobs draw."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from learnfleet.client.results import label_kind
from learnfleet.v1 import interpretation_service_pb2, job_pb2


@dataclass(frozen=True)
class Picture:
    """A plot; notebooks show it."""

    name: str
    media_type: str
    content: bytes = field(repr=False)

    @classmethod
    def from_proto(cls, message: job_pb2.Picture) -> Picture:
        return cls(message.name, message.media_type, message.content)

    def save(self, path: str | Path) -> Path:
        """Write it, and return the path."""
        Path(path).write_bytes(self.content)
        return Path(path)

    def _repr_png_(self) -> bytes | None:
        return self.content if self.media_type == "image/png" else None


@dataclass(frozen=True)
class ConfusedPair:
    """Two classes that the model confuses."""

    actual: str
    predicted: str
    count: int


@dataclass(frozen=True)
class TopLoss:
    """A picture that the model is wrong or unsure about."""

    index: int
    path: str
    predicted: str
    actual: str
    loss: float
    probability: float  # of the actual class

    @classmethod
    def from_proto(cls, message: interpretation_service_pb2.TopLoss) -> TopLoss:
        return cls(message.index, message.path, message.predicted, message.actual, message.loss, message.probability)


@dataclass(frozen=True)
class ClassReport:
    """How the model fares on one class; None for what is not defined."""

    class_name: str
    precision: float | None
    recall: float | None
    f1: float | None
    iou: float | None
    support: int

    @classmethod
    def from_proto(cls, message: interpretation_service_pb2.ClassReport) -> ClassReport:
        values = (
            message.precision if message.HasField("precision") else None,
            message.recall if message.HasField("recall") else None,
            message.f1 if message.HasField("f1") else None,
            message.iou if message.HasField("iou") else None,
        )
        return cls(message.class_name, *values, message.support)


@dataclass(frozen=True)
class Interpretation:
    """What a model gets wrong (fastai ClassificationInterpretation)."""

    name: str
    learner: str
    checkpoint: str
    classes: tuple[str, ...]
    examples: int
    accuracy: float
    loss: float
    confusion_matrix: tuple[tuple[int, ...], ...]  # rows actual, columns predicted
    most_confused: tuple[ConfusedPair, ...]  # worst first
    top_losses: tuple[TopLoss, ...]  # worst first
    pictures: tuple[Picture, ...]
    skipped_images: int
    kind: str = "category"  # or "multi_category", "mask", "float"
    class_report: tuple[ClassReport, ...] = ()
    label_confusion: tuple[tuple[tuple[int, ...], ...], ...] = ()  # of several labels a picture: 2 x 2 for each label
    misclassified_count: int = 0  # of several labels: pictures with at least one wrong
    misclassified: tuple[TopLoss, ...] = ()  # those, greatest loss first, up to 1000
    intersection: tuple[
        tuple[float, ...], ...
    ] = ()  # of masks: P(predicted | actual); () for classes that are not there

    def plot_confusion_matrix(self, normalize: bool = False) -> Picture:
        return self._picture("confusion_matrix_normalized" if normalize else "confusion_matrix")

    def plot_top_losses(self, heatmap: bool = False) -> Picture:
        return self._picture("top_losses_heatmap" if heatmap else "top_losses")

    def plot_multi_top_losses(self, save_misclassified: bool = False) -> Picture | tuple[Picture, tuple[TopLoss, ...]]:
        """Of several labels: the misclassified pictures with the greatest losses, as many as `interpret(top_losses)`
        asked for, up to 20. `save_misclassified`: give all misclassified items too.
        """
        picture = self._picture("multi_top_losses")
        return (picture, self.misclassified) if save_misclassified else picture

    def generate_confusion(self) -> tuple[tuple[float, ...], ...]:
        """Of masks: `intersection`. Those of single pictures stay on the server."""
        return self.intersection

    def plot_intersect_cm(self) -> Picture:
        """Of masks: `intersection` as a picture."""
        return self._picture("confusion_matrix_normalized")

    def intersect_scores(self) -> list[tuple[str, float | None]]:
        """Of masks: (label, score) of each class, greatest first; None for classes that do not occur."""
        rows = zip(self.classes, self.intersection, strict=False)
        scores = [(label, row[place] if row else None) for place, (label, row) in enumerate(rows)]
        return sorted(scores, key=lambda item: -1.0 if item[1] is None else item[1], reverse=True)

    def iou_report(self) -> list[tuple[str, float | None, float | None, int]]:
        """Of masks: (class, IoU, Dice, pixels) of each class, and the means over those that occur as "mean"."""
        rows = [(item.class_name, item.iou, item.f1, item.support) for item in self.class_report]
        known = [[float(row[column]) for row in rows if row[column] is not None] for column in (1, 2)]  # type: ignore[arg-type]
        iou, dice = (sum(values) / len(values) if values else None for values in known)
        return [*rows, ("mean", iou, dice, sum(row[3] for row in rows))]

    def classification_report(self) -> tuple[ClassReport, ...]:
        """Precision, recall, F1 and support by class: `class_report`."""
        return self.class_report

    def _picture(self, name: str) -> Picture:
        found = {picture.name: picture for picture in self.pictures}
        if name not in found:
            raise ValueError(f"{name!r} was not drawn; there are {', '.join(found) or 'no pictures'}")
        return found[name]

    @classmethod
    def from_proto(cls, message: interpretation_service_pb2.Interpretation) -> Interpretation:
        return cls(
            name=message.name,
            learner=message.learner,
            checkpoint=message.checkpoint,
            classes=tuple(message.classes),
            examples=message.examples,
            accuracy=message.accuracy,
            loss=message.loss,
            confusion_matrix=tuple(tuple(row.counts) for row in message.confusion_matrix.rows),
            most_confused=tuple(ConfusedPair(p.actual, p.predicted, p.count) for p in message.most_confused),
            top_losses=tuple(TopLoss.from_proto(item) for item in message.top_losses),
            pictures=tuple(Picture.from_proto(picture) for picture in message.pictures),
            skipped_images=message.skipped_images,
            kind=label_kind(message.kind),
            class_report=tuple(ClassReport.from_proto(item) for item in message.class_report),
            label_confusion=tuple(
                tuple(tuple(row.counts) for row in matrix.rows) for matrix in message.label_confusion
            ),
            misclassified_count=message.misclassified_count,
            misclassified=tuple(TopLoss.from_proto(item) for item in message.misclassified),
            intersection=tuple(tuple(row.values) for row in message.intersection),
        )
