"""Calibration, curves, suspects, slices and comparisons that an interpretation found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from learnfleet.v1 import interpretation_service_pb2 as pb


def known(message: Any, field: str) -> float | None:
    """None where a field is absent."""
    return getattr(message, field) if message.HasField(field) else None


@dataclass(frozen=True)
class CalibrationBin:
    """Predictions of like confidence."""

    lower: float
    upper: float
    confidence: float | None  # mean; None of an empty bin
    accuracy: float | None
    count: int


@dataclass(frozen=True)
class Calibration:
    """Whether predictions that are 80 % sure are right in 80 % of the cases."""

    ece: float
    mce: float
    brier: float
    temperature: float | None  # that logits are to be divided by; above 1: too sure
    ece_at_temperature: float | None
    bins: tuple[CalibrationBin, ...]

    @classmethod
    def from_proto(cls, message: pb.Calibration) -> Calibration:
        bins = tuple(
            CalibrationBin(one.lower, one.upper, known(one, "confidence"), known(one, "accuracy"), one.count)
            for one in message.bins
        )
        scaled = known(message, "temperature"), known(message, "ece_at_temperature")
        return cls(message.ece, message.mce, message.brier, *scaled, bins)


@dataclass(frozen=True)
class ClassCurves:
    """How well a class is told from all others."""

    class_name: str
    auroc: float | None
    average_precision: float | None
    false_positive_rates: tuple[float, ...]
    true_positive_rates: tuple[float, ...]
    recalls: tuple[float, ...]
    precisions: tuple[float, ...]

    @classmethod
    def from_proto(cls, message: pb.Curves) -> ClassCurves:
        return cls(
            message.class_name,
            known(message, "auroc"),
            known(message, "average_precision"),
            tuple(message.false_positive_rates),
            tuple(message.true_positive_rates),
            tuple(message.recalls),
            tuple(message.precisions),
        )


@dataclass(frozen=True)
class NamedItem:
    """An item of a data set."""

    index: int
    path: str
    label: str
    picture: str  # a file of the interpretation; empty where there is none

    @classmethod
    def from_proto(cls, message: pb.NamedItem) -> NamedItem:
        return cls(message.index, message.path, message.label, message.picture)


@dataclass(frozen=True)
class LabelIssue:
    """An item whose label is likely wrong."""

    index: int
    path: str
    given: str
    suggested: str
    score: float  # label quality in [0, 1]
    picture: str

    @classmethod
    def from_proto(cls, message: pb.LabelIssue) -> LabelIssue:
        return cls(message.index, message.path, message.given, message.suggested, message.score, message.picture)


@dataclass(frozen=True)
class DuplicateGroup:
    """Pictures that are nearly the same."""

    items: tuple[NamedItem, ...]
    similarity: float  # least cosine similarity of two of them

    @classmethod
    def from_proto(cls, message: pb.DuplicateGroup) -> DuplicateGroup:
        return cls(tuple(map(NamedItem.from_proto, message.items)), message.similarity)


@dataclass(frozen=True)
class Outlier:
    """A picture that is unlike all others."""

    item: NamedItem
    score: float

    @classmethod
    def from_proto(cls, message: pb.Outlier) -> Outlier:
        return cls(NamedItem.from_proto(message.item), message.score)


@dataclass(frozen=True)
class Slice:
    """How the model fares on the items that have one value."""

    column: str
    value: str
    examples: int
    accuracy: float | None
    interval: tuple[float, float] | None  # of 95 %
    loss: float
    f1: float | None = None

    @classmethod
    def from_proto(cls, column: str, message: pb.SliceOfValue) -> Slice:
        low, high = known(message, "accuracy_low"), known(message, "accuracy_high")
        interval = None if low is None or high is None else (low, high)
        accuracy, f1 = known(message, "accuracy"), known(message, "f1")
        return cls(column, message.value, message.examples, accuracy, interval, message.loss, f1)


class ComparedItem(NamedTuple):
    """An item that two models see differently."""

    item: NamedItem
    baseline: str  # what the baseline says
    candidate: str


@dataclass(frozen=True)
class Comparison:
    """Two models on the same items."""

    baseline: str
    candidate: str
    both_right: int
    fixed: int  # wrong by the baseline, right by the candidate
    broken: int
    both_wrong: int
    p_value: float | None  # McNemar's exact test
    accuracy: tuple[float, float]  # of baseline and candidate
    loss: tuple[float, float]
    fixed_items: tuple[ComparedItem, ...]
    broken_items: tuple[ComparedItem, ...]

    @classmethod
    def from_proto(cls, message: pb.Comparison) -> Comparison:
        return cls(
            message.baseline,
            message.candidate,
            message.both_right,
            message.fixed,
            message.broken,
            message.both_wrong,
            known(message, "p_value"),
            (message.baseline_accuracy, message.candidate_accuracy),
            (message.baseline_loss, message.candidate_loss),
            tuple(map(_compared, message.fixed_items)),
            tuple(map(_compared, message.broken_items)),
        )


def _compared(message: pb.ComparedItem) -> ComparedItem:
    return ComparedItem(NamedItem.from_proto(message.item), message.baseline, message.candidate)
