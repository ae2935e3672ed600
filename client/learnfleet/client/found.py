"""What an interpretation found, as the server tells it."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from learnfleet.client.figures import Picture
from learnfleet.client.found_measures import (
    Calibration,
    ClassCurves,
    Comparison,
    DuplicateGroup,
    LabelIssue,
    Outlier,
    Slice,
)
from learnfleet.client.results import time_of
from learnfleet.client.values import label_kind
from learnfleet.v1 import interpretation_service_pb2

LOSSES_FILE = "losses.csv"  # of an interpretation: all its items


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
    picture: str = ""  # a file of the interpretation; empty where there is none
    heat_map: str = ""

    @classmethod
    def from_proto(cls, message: interpretation_service_pb2.TopLoss) -> TopLoss:
        judged = message.index, message.path, message.predicted, message.actual, message.loss, message.probability
        return cls(*judged, message.picture, message.heat_map)


def read_losses(content: bytes, listed: Iterable[TopLoss]) -> tuple[TopLoss, ...]:
    """All items of LOSSES_FILE, greatest loss first; those that were `listed` with their pictures."""
    known = {item.index: item for item in listed}
    rows = csv.DictReader(io.StringIO(content.decode(errors="replace"), newline=""))
    items = (
        TopLoss(
            int(row["index"]),
            row["path"],
            row["predicted"],
            row["actual"],
            float(row["loss"]),
            float(row["probability"] or 0.0),
        )
        for row in rows
    )
    return tuple(known.get(item.index, item) for item in items)


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
class Found:
    """What a model gets wrong."""

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
    kind: str = "category"  # or "multi_category", "mask", "float", "points", "image"
    class_report: tuple[ClassReport, ...] = ()
    label_confusion: tuple[tuple[tuple[int, ...], ...], ...] = ()  # of several labels a picture: 2 x 2 for each label
    misclassified_count: int = 0  # of several labels: pictures with at least one wrong
    misclassified: tuple[TopLoss, ...] = ()  # those, greatest loss first, up to 1000
    intersection: tuple[
        tuple[float, ...], ...
    ] = ()  # of masks: P(predicted | actual); () for classes that are not there
    model: str = ""  # models/{model}/versions/{version}; empty: it was a learner
    job: str = ""
    calibration: Calibration | None = None
    curves: tuple[ClassCurves, ...] = ()
    label_issues: tuple[LabelIssue, ...] = ()  # likeliest first
    label_issues_caveat: str = ""
    duplicates: tuple[DuplicateGroup, ...] = ()
    outliers: tuple[Outlier, ...] = ()  # the strangest first
    slices: tuple[Slice, ...] = ()
    comparison: Comparison | None = None
    void_class: str = ""
    parts: tuple[str, ...] = ()  # that were found out
    files: tuple[str, ...] = ()  # that `file` gives
    create_time: datetime | None = None
    least_losses: tuple[TopLoss, ...] = ()  # least first, where they were asked for

    @classmethod
    def from_proto(cls, message: interpretation_service_pb2.Interpretation) -> Found:
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
            model=message.model,
            job=message.job,
            calibration=Calibration.from_proto(message.calibration) if message.HasField("calibration") else None,
            curves=tuple(map(ClassCurves.from_proto, message.curves)),
            label_issues=tuple(map(LabelIssue.from_proto, message.label_issues)),
            label_issues_caveat=message.label_issues_caveat,
            duplicates=tuple(map(DuplicateGroup.from_proto, message.duplicates)),
            outliers=tuple(map(Outlier.from_proto, message.outliers)),
            slices=tuple(Slice.from_proto(part.column, one) for part in message.slices for one in part.slices),
            comparison=Comparison.from_proto(message.comparison) if message.HasField("comparison") else None,
            void_class=message.void_class,
            parts=tuple(_part(number) for number in message.parts),
            files=tuple(file.name for file in message.files),
            create_time=time_of(message.create_time),
            least_losses=tuple(TopLoss.from_proto(item) for item in message.least_losses),
        )


def _part(number: interpretation_service_pb2.InterpretationPart) -> str:
    """The number itself for a part that this client is too old to know."""
    names = interpretation_service_pb2.InterpretationPart
    return names.Name(number).removeprefix("INTERPRETATION_PART_").lower() if number in names.values() else str(number)
