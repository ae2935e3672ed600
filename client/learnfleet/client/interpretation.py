"""What an interpretation found, and the pictures that jobs draw."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from learnfleet.client.results import label_kind
from learnfleet.v1 import interpretation_service_pb2, job_pb2


@dataclass(frozen=True)
class Picture:
    """A plot; notebooks show it."""

    name: str
    media_type: str
    content: bytes

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

    def plot_confusion_matrix(self, normalize: bool = False) -> Picture:
        return self._picture("confusion_matrix_normalized" if normalize else "confusion_matrix")

    def plot_top_losses(self, heatmap: bool = False) -> Picture:
        return self._picture("top_losses_heatmap" if heatmap else "top_losses")

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
            top_losses=tuple(
                TopLoss(item.index, item.path, item.predicted, item.actual, item.loss, item.probability)
                for item in message.top_losses
            ),
            pictures=tuple(Picture.from_proto(picture) for picture in message.pictures),
            skipped_images=message.skipped_images,
            kind=label_kind(message.kind),
            class_report=tuple(ClassReport.from_proto(item) for item in message.class_report),
            label_confusion=tuple(
                tuple(tuple(row.counts) for row in matrix.rows) for matrix in message.label_confusion
            ),
        )
