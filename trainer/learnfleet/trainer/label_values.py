"""Labels as users give them (values, columns of a table), as what a specification lists."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from learnfleet.trainer.data_spec import LabelKind, ListedItem
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.folder import split_by_pct
from learnfleet.trainer.sources import place_beneath, split_labels

if TYPE_CHECKING:
    import pandas as pd


def kind_of(labels: Sequence[Any]) -> LabelKind:
    """What kind of target these are, by the first (fastai's rule): text is a class, a collection of texts several, and
    floating-point numbers, or collections of numbers, are values. Whole numbers are classes.
    """
    first = labels[0] if len(labels) else ""
    if is_real(first):
        return LabelKind.FLOAT
    if isinstance(first, str | int) or _is_whole(first):
        return LabelKind.CATEGORY
    if isinstance(first, Mapping | Path) or not hasattr(first, "__iter__"):
        raise LearnerError("labels", f"{first!r} is neither text, nor a number, nor a list of them")
    inner = next((label for item in labels for label in item), "")
    return LabelKind.FLOAT if is_real(inner) else LabelKind.MULTI_CATEGORY


def is_real(value: object) -> bool:
    """Also of NumPy, whose float64 is a float and whose float32 is not."""
    return isinstance(value, float) or getattr(getattr(value, "dtype", None), "kind", "") == "f"


def _is_whole(value: object) -> bool:
    return getattr(getattr(value, "dtype", None), "kind", "") in ("i", "u", "b", "U") and not hasattr(value, "__len__")


def numbered_classes(labels: Sequence[Any], items: Sequence[ListedItem]) -> tuple[str, ...] | None:
    """The classes of the training items in the order of their numbers (10 after 2), if all labels are whole numbers."""
    single = [part for label in labels for part in (label if _is_collection(label) else [label])]
    if not single or not all(_is_number(part) for part in single):
        return None
    names = {name for item in items if item.part == "train" for name in item.labels}
    return tuple(sorted(names, key=int))


def _is_collection(label: Any) -> bool:
    return hasattr(label, "__len__") and not isinstance(label, str)


def _is_number(label: Any) -> bool:
    whole = isinstance(label, int) or getattr(getattr(label, "dtype", None), "kind", "") in ("i", "u")
    return whole and not isinstance(label, bool)


def class_names(classes: Sequence[str] | None) -> tuple[str, ...] | None:
    """Given classes as text. Raises LearnerError for a single text, whose letters would be the classes."""
    if isinstance(classes, str):
        raise LearnerError("classes", f"{classes!r} is one name, not a list of them: give [{classes!r}]")
    return None if classes is None else tuple(str(name) for name in classes)


def listed(root: Path, name: Path, label: Any, kind: LabelKind) -> ListedItem:
    """A file and its label. Raises LearnerError for a label that is missing."""
    if kind is not LabelKind.NONE and _is_missing(label):
        raise LearnerError("labels", f"{name.name} has no label ({label}): leave it out, or label it")
    file = place_beneath(root, name)
    if kind is LabelKind.NONE:
        return ListedItem(file)
    if kind in (LabelKind.MASK, LabelKind.IMAGE):
        if not isinstance(label, str | Path):
            raise LearnerError("label_from_func", f"{label!r} is not the path of its {kind}")
        return ListedItem(file, mask=place_beneath(root, Path(label)))
    if kind is LabelKind.BOXES:
        boxes, names = _boxes_and_names(label)
        return ListedItem(file, tuple(str(name) for name in names), boxes)
    if kind is LabelKind.POINTS:
        return ListedItem(file, values=_flat_points(label))
    if kind is LabelKind.FLOAT:
        return ListedItem(file, values=tuple(float(v) for v in ([label] if not hasattr(label, "__iter__") else label)))
    if kind is LabelKind.MULTI_CATEGORY:
        return ListedItem(file, (label,) if isinstance(label, str) else tuple(str(part) for part in label))
    return ListedItem(file, (str(label),))


def _is_missing(label: Any) -> bool:
    return label is None or (is_real(label) and not hasattr(label, "__len__") and label != label)


def _boxes_and_names(label: Any) -> tuple[tuple[float, ...], Sequence[Any]]:
    """Of (boxes, classes), as fastai has them: [[top, left, bottom, right], ...] in pixels, and a class each."""
    try:
        boxes, names = label
        corners = np.asarray(boxes, dtype=np.float64).reshape(-1)
        if isinstance(names, str) or len(corners) != 4 * len(names):
            raise ValueError
    except (TypeError, ValueError):
        told = "is not (boxes, classes): four numbers (top, left, bottom, right) and a class for each box"
        raise LearnerError("label_from_func", f"{label!r} {told}") from None
    return tuple(corners.tolist()), names


def _flat_points(label: Any) -> tuple[float, ...]:
    """y, x of each of (y, x), or of several of them, as a tensor, an array or lists."""
    try:
        points = np.asarray(label, dtype=np.float64)
    except (TypeError, ValueError):
        points = np.empty(0)
    if points.ndim not in (1, 2) or points.shape[-1] != 2 or not len(points):
        raise LearnerError("label_from_func", f"{label!r} is neither a point (y, x) nor a list of them")
    return tuple(points.reshape(-1).tolist())


def split_items(items: Sequence[ListedItem], valid_pct: float, seed: int) -> tuple[ListedItem, ...]:
    """The first int(valid_pct * n) of a drawn order validate; the others keep the order of the list."""
    train, valid = split_by_pct(items, valid_pct, seed)
    return (*train, *(dataclasses.replace(item, part="valid") for item in valid))


def label_by_match(pat: str, text: str) -> str:
    """The first group of a regular expression. Raises LearnerError where there is none."""
    try:
        match = re.search(pat, text)
    except re.error as error:
        raise LearnerError("pat", f"{pat!r} is no regular expression: {error}") from None
    if match is None:
        raise LearnerError("pat", f'Failed to find "{pat}" in "{text}"')
    if not match.groups() or match[1] is None:
        raise LearnerError("pat", f'"{pat}" has no group that is the label in "{text}"')
    return match[1]


@dataclass(frozen=True)
class FrameLabels:
    """What a table says of files."""

    names: list[str]
    labels: list[Any]
    classes: tuple[str, ...] | None = None  # where the table says which there are


def read_frame(
    df: pd.DataFrame,
    fn_col: str | int,
    label_col: str | int | Sequence[str | int],
    label_delim: str | None = None,
    kind: LabelKind | None = None,
) -> FrameLabels:
    """Names and labels of a table. Several columns of 0 and 1 are a class each, in their order, unless `kind` is FLOAT.

    Raises LearnerError for columns that are not there, or with empty cells.
    """
    columns = [label_col] if isinstance(label_col, str | int) else list(label_col)
    picked = [column_name(df, name) for name in (fn_col, *columns)]
    if df[picked].isna().to_numpy().any():
        raise LearnerError("df", f"the columns {', '.join(map(str, picked))} have empty cells (NaN)")
    names = [str(name) for name in df[picked[0]]]
    if len(columns) > 1:
        return _several_columns(names, df, picked[1:], kind)
    values = df[picked[1]].tolist()
    return FrameLabels(names, [split_labels(str(v), label_delim) for v in values] if label_delim else values)


def _several_columns(names: list[str], df: pd.DataFrame, columns: list[Any], kind: LabelKind | None) -> FrameLabels:
    rows = df[columns].to_numpy().tolist()
    if kind is LabelKind.FLOAT or not all(value in (0, 1) for row in rows for value in row):
        return FrameLabels(names, [[_as_float(value, columns) for value in row] for row in rows])
    classes = tuple(str(name) for name in columns)
    return FrameLabels(names, [[c for c, flag in zip(classes, row, strict=True) if flag] for row in rows], classes)


def _as_float(value: Any, columns: list[Any]) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        raise LearnerError("df", f"{value!r} in the columns {', '.join(map(str, columns))} is no number") from None


def column_name(df: pd.DataFrame, name: str | int) -> Any:
    """A heading by itself or by its number. Raises LearnerError."""
    if name in df.columns:
        return name
    if isinstance(name, int) and -len(df.columns) <= name < len(df.columns):
        return df.columns[name]
    raise LearnerError("df", f"there is no column {name!r}; there are {', '.join(map(str, df.columns))}")
