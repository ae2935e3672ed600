"""How a model fares on parts of the data, told apart by a column of what is known of the items beside their labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from learnfleet.trainer.confusion import ClassScores, confusion_counts, mean_of_known
from learnfleet.trainer.errors import LearnerError

UNKNOWN = "(unknown)"  # items without a value
OTHERS = "(others)"  # beyond the most frequent values
_VALUES = 50  # that are told apart
_NUMBERS_AS_THEY_ARE = 10  # different ones; of more, quarters
_QUARTERS = 4
_SHOWN = 10


@dataclass(frozen=True)
class SliceScores:
    """The items that have one value."""

    value: str
    examples: int
    accuracy: float | None  # share of right ones; None where right and wrong are no question
    accuracy_low: float | None  # its 95 % interval (Wilson)
    accuracy_high: float | None
    f1: float | None  # mean over the classes that occur in the slice; None but for one class an item
    loss: float  # mean


@dataclass(frozen=True)
class Outcomes:
    """How N items came out."""

    losses: Tensor  # float [N]
    right: Tensor | None = None  # bool [N]
    actual: Tensor | None = None  # int64 [N], of one class an item
    predicted: Tensor | None = None
    n_classes: int = 0


@dataclass(frozen=True)
class MetadataFile:
    """A CSV file with a heading that says something of pictures."""

    path: Path
    key: str | int = 0  # the column that names pictures, by its heading or number
    delimiter: str = ","


def read_metadata(file: MetadataFile, columns: Sequence[str], names: Sequence[str]) -> dict[str, list[str]]:
    """Of each column the values of the items, in their order.

    Numbers of more than ten values become the quarter that they are in.

    Args:
        names: of the items, as the key column has them.

    Raises LearnerError naming the column that is missing, or that no picture is named.
    """
    path = file.path
    try:
        heading = list(pd.read_csv(path, sep=file.delimiter, nrows=0).columns)
        key = heading[file.key] if isinstance(file.key, int) else file.key
        frame = pd.read_csv(path, sep=file.delimiter, dtype={key: str})
    except (OSError, ValueError, IndexError) as error:
        raise LearnerError("metadata", f"{path.name} cannot be read as CSV: {error}") from None
    missing = [column for column in columns if column not in heading]
    if missing:
        there = ", ".join(heading[:_SHOWN])
        raise LearnerError("slice_columns", f"{path.name} has no column {missing[0]!r}; there are {there}")
    known = frame.drop_duplicates(subset=key).set_index(key)
    if not known.index.isin(list(names)).any():
        first = f"{known.index[0]!r} and so on" if len(known) else "nothing"
        told = f"its column {key!r} has {first}, the pictures are {names[0]!r} and so on"
        raise LearnerError("metadata", f"{path.name} names none of the pictures: {told}")
    known = known.reindex(list(names))
    return {column: list(names) if column == key else _as_text(known[column]) for column in columns}


def _as_text(values: pd.Series) -> list[str]:
    if pd.api.types.is_numeric_dtype(values) and values.nunique() > _NUMBERS_AS_THEY_ARE:
        values = pd.qcut(values, _QUARTERS, duplicates="drop").astype(object)
    named = [UNKNOWN if pd.isna(value) else _plain(value) for value in values]
    frequent = set(pd.Series(named).value_counts().index[:_VALUES])
    return [value if value in frequent else OTHERS for value in named]


def _plain(value: object) -> str:
    """Whole numbers as such: a column with a gap is read as floats."""
    return f"{value:g}" if isinstance(value, float | np.floating) else str(value)


def slice_scores(values: Sequence[str], outcomes: Outcomes) -> list[SliceScores]:
    """One for each value, the worst first: by accuracy, or by loss where there is none."""
    places = pd.Series(range(len(values))).groupby(pd.Series(list(values))).groups
    found = [_scores(str(value), torch.tensor(list(rows)), outcomes) for value, rows in places.items()]
    return sorted(found, key=lambda one: (one.loss * -1 if one.accuracy is None else one.accuracy, one.value))


def _scores(value: str, rows: Tensor, outcomes: Outcomes) -> SliceScores:
    right, n = outcomes.right, len(rows)
    accuracy = low = high = f1 = None
    if right is not None:
        hits = int(right[rows].sum())
        accuracy, (low, high) = hits / n, wilson(hits, n)
    if outcomes.actual is not None and outcomes.predicted is not None:
        counts = confusion_counts(outcomes.actual[rows], outcomes.predicted[rows], outcomes.n_classes)
        f1 = mean_of_known(ClassScores.of_classes(counts).f1)
    return SliceScores(value, n, accuracy, low, high, f1, float(outcomes.losses[rows].double().mean()))


def wilson(hits: int, n: int) -> tuple[float, float]:
    """95 % interval of a share.

    Source: Wilson, "Probable inference, the law of succession, and statistical inference", 1927.
    """
    from scipy.stats import binomtest

    interval = binomtest(hits, n).proportion_ci(method="wilson")
    return float(interval.low), float(interval.high)
