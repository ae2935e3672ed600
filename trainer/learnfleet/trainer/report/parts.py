"""What the sections of the page show, as frozen values: the template knows no other."""

from __future__ import annotations

from dataclasses import dataclass, field

from markupsafe import Markup


@dataclass(frozen=True)
class Metric:
    """A number of the headline."""

    label: str
    value: str
    note: str = ""


@dataclass(frozen=True)
class Cell:
    """Of the confusion matrix."""

    count: int
    of_row: float  # share of the actual class
    of_column: float  # share of what is predicted so
    is_right: bool
    actual: str
    predicted: str


@dataclass(frozen=True)
class MatrixRow:
    """An actual class."""

    name: str
    total: int
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Confusion:
    """A confusion matrix; of many classes, those with the most errors."""

    classes: tuple[str, ...]
    rows: tuple[MatrixRow, ...]
    unit: str  # pictures or pixels
    note: str = ""
    filters: bool = True  # whether the pictures can be filtered by a cell


@dataclass(frozen=True)
class LabelCounts:
    """Of several labels a picture, one: the pictures that have it or not, and were given it or not."""

    name: str
    rows: tuple[MatrixRow, ...]  # absent, present; their cells not given, given


@dataclass(frozen=True)
class Labels:
    """All labels; of very many, those with the most errors."""

    items: tuple[LabelCounts, ...]
    note: str = ""


@dataclass(frozen=True)
class Item:
    """A picture with what is said of it."""

    index: int
    path: str
    actual: str
    predicted: str
    is_right: bool | None
    loss: float | None = None
    probability: float | None = None  # of the actual class
    confidence: float | None = None  # of the predicted class
    picture: str = ""  # data: URI
    heat: str = ""
    note: str = ""


@dataclass(frozen=True)
class Gallery:
    """Pictures that can be filtered."""

    items: tuple[Item, ...]
    actual: tuple[str, ...]
    predicted: tuple[str, ...]
    has_heat: bool
    overlay: str  # what is laid over them
    note: str


@dataclass(frozen=True)
class Bin:
    """Predictions of like confidence."""

    lower: float
    upper: float
    confidence: float | None
    accuracy: float | None
    count: int


@dataclass(frozen=True)
class Calibration:
    """Whether 80 % sure means right in 80 % of the cases."""

    metrics: tuple[Metric, ...]
    bins: tuple[Bin, ...]
    chart: Markup


@dataclass(frozen=True)
class CurveRow:
    """How well one class is told from the others."""

    name: str
    auroc: float | None
    ap: float | None
    color: int


@dataclass(frozen=True)
class Curves:
    """ROC and precision-recall curves."""

    rows: tuple[CurveRow, ...]
    roc: Markup
    pr: Markup
    note: str = ""


@dataclass(frozen=True)
class Pictures:
    """A row of pictures with a heading: likely label errors, outliers."""

    items: tuple[Item, ...]
    note: str = ""


@dataclass(frozen=True)
class Duplicates:
    """Groups of pictures that show the same."""

    groups: tuple[tuple[Item, ...], ...]
    note: str = ""


@dataclass(frozen=True)
class SliceRow:
    """The items that have one value."""

    value: str
    count: int
    share: float | None  # right
    low: float | None  # 95 % interval
    high: float | None
    loss: float | None


@dataclass(frozen=True)
class Slices:
    """How the model fares by a column of the metadata."""

    column: str
    rows: tuple[SliceRow, ...]
    measure: str = "accuracy"


@dataclass(frozen=True)
class Comparison:
    """Two versions on the same items."""

    baseline: str
    candidate: str
    both_right: int
    fixed: int
    broken: int
    both_wrong: int
    p: float | None
    fixed_items: tuple[Item, ...]
    broken_items: tuple[Item, ...]
    metrics: tuple[tuple[str, str, str, str], ...] = ()  # name, baseline, candidate, difference


@dataclass(frozen=True)
class ClassRow:
    """Scores of one class."""

    name: str
    precision: float | None
    recall: float | None
    f1: float | None
    iou: float | None
    support: int


@dataclass(frozen=True)
class View:
    """The page."""

    title: str
    facts: tuple[tuple[str, str], ...]
    metrics: tuple[Metric, ...]
    kind: str
    unit: str
    confusion: Confusion | None = None
    confused: tuple[tuple[str, str, int], ...] = ()
    labels: Labels | None = None
    classes: tuple[ClassRow, ...] = ()
    gallery: Gallery | None = None
    calibration: Calibration | None = None
    curves: Curves | None = None
    label_issues: Pictures | None = None
    duplicates: Duplicates | None = None
    outliers: Pictures | None = None
    slices: tuple[Slices, ...] = ()
    comparison: Comparison | None = None
    sections: tuple[tuple[str, str], ...] = field(default=())  # id, title
