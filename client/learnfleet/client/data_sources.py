"""Where a remote learner's pictures, labels and split come from, as values."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, TypeAlias

from learnfleet.client.drawn_split import split_by_pct
from learnfleet.v1 import learner_pb2

if TYPE_CHECKING:
    import pandas as pd

Label: TypeAlias = "str | float | Sequence[str] | Sequence[float] | Sequence[Sequence[float]]"


@dataclass(frozen=True)
class Split:
    """A drawn share of the pictures validates."""

    valid_pct: float = 0.2
    seed: int | None = None  # None: 42

    def to_proto(self) -> learner_pb2.RandomSplit:
        return learner_pb2.RandomSplit(valid_pct=self.valid_pct, seed=self.seed)


@dataclass(frozen=True)
class Folder:
    """A folder of class folders."""

    path: str
    train: str = "train"
    valid: str = "valid"
    valid_pct: float | None = None
    seed: int | None = None

    def put(self, message: learner_pb2.DataSpec) -> None:
        message.folder.CopyFrom(learner_pb2.FolderSource(path=self.path, train=self.train, valid=self.valid))
        if self.valid_pct is not None:
            message.folder.valid_pct = self.valid_pct
        if self.seed is not None:
            message.folder.split_seed = self.seed


@dataclass(frozen=True)
class Table:
    """A CSV file on the server that names pictures and their labels."""

    path: str
    file: str = "labels.csv"
    folder: str = ""
    suffix: str = ""
    fn_col: str = ""
    label_cols: tuple[str, ...] = ()
    label_delim: str = ""
    delimiter: str = ","
    valid_col: str = ""
    header: bool = True
    split: Split = Split()

    def put(self, message: learner_pb2.DataSpec) -> None:
        table = learner_pb2.TableSource(
            path=self.path,
            file=self.file,
            folder=self.folder,
            suffix=self.suffix,
            fn_col=self.fn_col,
            label_cols=self.label_cols,
            label_delim=self.label_delim,
            delimiter=self.delimiter,
            valid_col=self.valid_col,
            split=self.split.to_proto(),
            no_header=not self.header,
        )
        message.table.CopyFrom(table)


@dataclass(frozen=True)
class Names:
    """All pictures below a folder, labelled by the first group of a regular expression in their paths."""

    path: str
    pattern: str
    split: Split = Split()

    def put(self, message: learner_pb2.DataSpec) -> None:
        source = learner_pb2.NamesSource(path=self.path, pattern=self.pattern, split=self.split.to_proto())
        message.names.CopyFrom(source)


@dataclass(frozen=True)
class Listed:
    """Pictures one by one."""

    path: str
    items: tuple[learner_pb2.ListedItem, ...]

    def put(self, message: learner_pb2.DataSpec) -> None:
        message.list.CopyFrom(learner_pb2.ListSource(path=self.path, items=self.items))


@dataclass(frozen=True)
class Masks:
    """Pictures and a mask for each, of the same name in another folder."""

    path: str
    pictures: str = "images"
    masks: str = "labels"
    suffix: str = ""
    extension: str = ""
    split: Split = Split()

    def put(self, message: learner_pb2.DataSpec) -> None:
        source = learner_pb2.MasksSource(
            path=self.path,
            pictures=self.pictures,
            masks=self.masks,
            suffix=self.suffix,
            extension=self.extension,
            split=self.split.to_proto(),
        )
        message.masks.CopyFrom(source)


Source: TypeAlias = Folder | Table | Names | Listed | Masks


def column_name(column: str | int, default: int, has_header: bool) -> str:
    """A column as the server takes it. Raises ValueError for a number that only the server could make a heading of."""
    if isinstance(column, str):
        return column
    if column == default:
        return ""
    if has_header:
        raise ValueError(f"column {column}: give its heading; by number only the first two are known here")
    return str(column)


def place_below(folder: str | PurePath, name: str | PurePath) -> str:
    """A file's place below a folder of the server, as the server takes it."""
    path = PurePath(name)
    return (path.relative_to(folder) if path.is_absolute() and path.is_relative_to(folder) else path).as_posix()


def placed_labels(folder: str, rows: Iterable[tuple[str, Any, bool]]) -> list[tuple[str, Any, bool]]:
    """Files, labels and parts, where the labels are files as well."""
    return [(name, place_below(folder, str(label)), is_valid) for name, label, is_valid in rows]


def part_flags(
    count: int, valid_pct: float, seed: int | None, is_valid: Sequence[bool] | None
) -> tuple[list[bool], list[int]]:
    """Whether each of so many items validates, and the order to list them in. Raises ValueError."""
    if is_valid is not None:
        if len(is_valid) != count:
            raise ValueError(f"is_valid has {len(is_valid)} values for {count} files; give one each")
        return [bool(flag) for flag in is_valid], list(range(count))
    train, valid = split_by_pct(range(count), valid_pct, seed)
    chosen = set(valid)
    return [place in chosen for place in range(count)], [*train, *valid]


def read_frame(
    df: pd.DataFrame,
    fn_col: str | int,
    label_col: str | int | Sequence[str | int],
    label_delim: str | None,
) -> tuple[list[str], list[Any], tuple[str, ...] | None]:
    """Names, labels and, of several columns of 0 and 1, the classes. Raises ValueError for unknown columns."""
    columns = [label_col] if isinstance(label_col, str | int) else list(label_col)
    names = [str(name) for name in _cells(df, fn_col)]
    if len(columns) == 1:
        values = _cells(df, columns[0])
        return names, [_parts(str(v), label_delim) for v in values] if label_delim else values, None
    rows = list(zip(*(_cells(df, column) for column in columns), strict=True))
    if not all(value in (0, 1) for row in rows for value in row):
        return names, [[float(value) for value in row] for row in rows], None
    classes = tuple(str(_heading(df, column)) for column in columns)
    return names, [[c for c, flag in zip(classes, row, strict=True) if flag] for row in rows], classes


def _heading(df: pd.DataFrame, column: str | int) -> Any:
    headings = list(df.columns)
    if column in headings:
        return column
    if isinstance(column, int) and -len(headings) <= column < len(headings):
        return headings[column]
    raise ValueError(f"there is no column {column!r}; there are {', '.join(map(str, headings))}")


def _cells(df: pd.DataFrame, column: str | int) -> list[Any]:
    values: list[Any] = df[_heading(df, column)].tolist()
    if any(value is None or value != value for value in values):
        raise ValueError(f"the column {_heading(df, column)} has empty cells")
    return values


def _parts(cell: str, delimiter: str) -> tuple[str, ...]:
    return tuple(part for part in cell.split(delimiter) if part)


def kind_of_labels(labels: Sequence[Label]) -> str:
    """By the first: a floating-point number, or several, are values, lists of numbers are points; everything else names
    classes.
    """
    first = labels[0] if len(labels) else ""
    if isinstance(first, str) or not isinstance(first, Iterable):
        return "float" if _is_real(first) else "category"
    inner = next((part for label in labels for part in _parts_of(label)), "")
    if isinstance(inner, Sequence) and not isinstance(inner, str):
        return "points"
    return "float" if _is_real(inner) else "multi_category"


def numbered_classes(labels: Sequence[Label], is_valid: Sequence[bool]) -> tuple[str, ...]:
    """Classes of the training pictures in the order of their numbers (10 after 2); () if they are no whole numbers."""
    if not all(_is_whole(part) for label in labels for part in _parts_of(label)):
        return ()
    rows = zip(labels, is_valid, strict=True)
    names = {str(part) for label, validates in rows if not validates for part in _parts_of(label)}
    return tuple(sorted(names, key=int))


def listed_item(name: str, label: Label, is_valid: bool, kind: str) -> learner_pb2.ListedItem:
    if kind in ("image", "mask"):
        return learner_pb2.ListedItem(file=name, mask=str(label), part=_part(is_valid))
    if kind == "points":
        return learner_pb2.ListedItem(file=name, values=_flat(label), part=_part(is_valid))
    parts = _parts_of(label)
    if kind == "float":
        return learner_pb2.ListedItem(file=name, values=[float(part) for part in parts], part=_part(is_valid))
    return learner_pb2.ListedItem(file=name, labels=[str(part) for part in parts], part=_part(is_valid))


def _flat(label: Label) -> list[float]:
    """Numbers of one point, or of a list of points. Raises ValueError for what is neither."""
    rows: Sequence[Any] = _parts_of(label)
    numbers = [float(number) for row in rows for number in _parts_of(row)]
    if not numbers or len(numbers) % 2:
        raise ValueError(f"{label!r} is neither a point (row, column) nor a list of them")
    return numbers


def _part(is_valid: bool) -> learner_pb2.DatasetType:
    return learner_pb2.DATASET_TYPE_VALID if is_valid else learner_pb2.DATASET_TYPE_TRAIN


def _parts_of(label: Any) -> Sequence[Any]:
    return [label] if isinstance(label, str) or not isinstance(label, Iterable) else list(label)


def _is_real(part: object) -> bool:
    return isinstance(part, Real) and not isinstance(part, Integral)


def _is_whole(part: object) -> bool:
    return isinstance(part, Integral) and not isinstance(part, bool)
