"""Every source of labelled pictures as one listing. Imports neither torch nor Pillow."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from learnfleet.trainer.data_spec import DataSpec, LabelKind, ListedItem, TableSpec
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.files import RefusedFile, read_file, resolve_beneath
from learnfleet.trainer.folder import FolderScan, existing, inner_folder, scan_folder, split_by_pct, test_pictures
from learnfleet.trainer.listing import WHOLE_NUMBER, FolderListing, Found, assemble

_DEFAULT_VALID_PCT = 0.2
_MAX_TABLE_BYTES = 512 * 2**20
_TRUE = ("1", "true", "yes", "valid")


def list_data(spec: DataSpec) -> FolderListing:
    """The pictures of a specification with their targets, split into parts.

    Raises LearnerError naming the field where something is missing or does not fit.
    """
    if spec.source == "folder":
        return scan_folder(spec)
    if spec.source == "list":
        return _listed(spec)
    if spec.source == "table":
        return _tabled(spec)
    return _walked(spec)


def _listed(spec: DataSpec) -> FolderListing:
    """The order of the list is kept in each part."""
    root = existing(Path(spec.path))
    parts: dict[str, list[Found]] = {"train": [], "valid": [], "test": []}
    for item in spec.items or ():
        parts[item.part].append(_found(root, item))
    test = [*parts["test"], *test_pictures(spec, FolderScan(root.resolve()))]
    return assemble(spec, parts["train"], parts["valid"], test)


def _found(root: Path, item: ListedItem) -> Found:
    mask = _inside(root, item.mask, "data.list.items") if item.mask else None
    return Found(_inside(root, item.file, "data.list.items"), item.labels, item.values, mask)


def _inside(root: Path, name: str, field: str) -> Path:
    """The file's place, links not followed: the decoder opens it beneath the root, or refuses."""
    path = root / name
    if (Path(name).is_absolute() and not path.is_relative_to(root)) or ".." in Path(name).parts:
        raise LearnerError(field, f"{name!r} leads out of {root}")
    return path


def _tabled(spec: DataSpec) -> FolderListing:
    table = spec.table or TableSpec()
    root = existing(Path(spec.path))
    headings, rows = _read_table(root, table)
    fn_col = _column(table.fn_col, headings, "data.table.fn_col")
    label_cols = _label_columns(table, headings)
    if spec.classes is None and spec.labels is LabelKind.MULTI_CATEGORY and len(label_cols) > 1:
        spec = replace(spec, classes=tuple(headings[column] for column in label_cols))
    found = [_row_found(spec, table, root, row, number, fn_col, label_cols, headings) for number, row in rows]
    if table.valid_col is None:
        train, valid = split_by_pct(found, share_of(spec), spec.split_seed)
    else:
        column = _column(table.valid_col, headings, "data.table.valid_col")
        is_valid = [row[column].strip().lower() in _TRUE for _, row in rows]
        train = [item for item, flag in zip(found, is_valid, strict=True) if not flag]
        valid = [item for item, flag in zip(found, is_valid, strict=True) if flag]
    return assemble(spec, train, valid, test_pictures(spec, FolderScan(root.resolve())))


def _read_table(root: Path, table: TableSpec) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """Headings (numbers where there are none), and the rows with their line numbers."""
    field = "data.table.file"
    path = _inside(root, table.file, field)
    try:
        text = io.StringIO(read_file(path, _MAX_TABLE_BYTES, root).decode("utf-8-sig"))
        lines = [(n, row) for n, row in enumerate(csv.reader(text, delimiter=table.delimiter), 1) if row]
    except (OSError, UnicodeDecodeError, csv.Error, TypeError) as error:
        raise LearnerError(field, f"{path} cannot be read as a table: {error}") from None
    if len(lines) < 1 + table.header:
        raise LearnerError(field, f"{path} has no rows")
    headings = lines[0][1] if table.header else [str(number) for number in range(len(lines[0][1]))]
    rows = lines[1:] if table.header else lines
    for number, row in rows:
        if len(row) != len(headings):
            raise LearnerError(field, f"line {number} of {path} has {len(row)} cells, not {len(headings)}")
    return headings, rows


def _label_columns(table: TableSpec, headings: Sequence[str]) -> list[int]:
    return [_column(name, headings, "data.table.label_cols") for name in table.label_cols]


def has_numbers(root: Path, table: TableSpec) -> bool:
    """Whether the labels of a table are numbers to predict, and not names of classes or (in several columns) 0 and 1.

    Raises LearnerError for a table that cannot be read.
    """
    headings, rows = _read_table(root, table)
    cells = [row[column].strip() for _, row in rows for column in _label_columns(table, headings)]
    try:
        numbers = [float(cell) for cell in cells]
    except ValueError:
        return False
    if len(table.label_cols) > 1:
        return not all(number in (0, 1) for number in numbers)
    return not all(WHOLE_NUMBER.fullmatch(cell) for cell in cells)


def _column(name: str | int, headings: Sequence[str], field: str) -> int:
    if isinstance(name, int) and -len(headings) <= name < len(headings):
        return name % len(headings)
    if name in headings:
        return headings.index(str(name))
    raise LearnerError(field, f"there is no column {name!r}; there are {', '.join(headings[:20])}")


def _row_found(
    spec: DataSpec,
    table: TableSpec,
    root: Path,
    row: list[str],
    number: int,
    fn_col: int,
    label_cols: list[int],
    headings: list[str],
) -> Found:
    cells = [row[column].strip() for column in label_cols]
    if not row[fn_col].strip() or not all(cells):
        raise LearnerError("data.table.file", f"line {number} has an empty cell where a name or label belongs")
    path = _inside(root, str(Path(table.folder) / (row[fn_col].strip() + table.suffix)), "data.table.file")
    if spec.labels is LabelKind.FLOAT:
        return Found(path, values=tuple(_number(cell, number) for cell in cells))
    if len(label_cols) > 1:  # one 0/1 column a class
        on = [headings[column] for column, cell in zip(label_cols, cells, strict=True) if _number(cell, number)]
        return Found(path, tuple(on))
    return Found(path, split_labels(cells[0], table.label_delim))


def split_labels(text: str, delimiter: str | None) -> tuple[str, ...]:
    """The labels of a cell; with a delimiter an empty cell has none."""
    if delimiter is None:
        return (text,)
    return tuple(part for part in text.split(delimiter) if part)


def _number(cell: str, line: int) -> float:
    try:
        return float(cell)
    except ValueError:
        raise LearnerError("data.table.file", f"line {line}: {cell!r} is no number") from None


def _walked(spec: DataSpec) -> FolderListing:
    """Pictures found below a folder, labelled by their names or their masks."""
    root = existing(Path(spec.path))
    scan = FolderScan(root.resolve())
    if spec.source == "masks":
        masks = spec.masks
        if masks is None:
            raise LearnerError("data.masks", "is missing; must say where the masks are")
        pictures = inner_folder(root, masks.pictures, "data.masks.pictures")
        found = [Found(item.path, mask=_mask_of(root, pictures, item.path, spec)) for item in scan.pictures(pictures)]
        missing = [item for item in found if item.mask is not None and not item.mask.is_file()]
        if missing:
            raise LearnerError("data.masks", f"{missing[0].path.name} and {len(missing) - 1} others have no mask")
    else:
        paths = [item.path for item in scan.pictures(root)]
        if spec.test is not None:
            paths = [path for path in paths if not path.is_relative_to(root / spec.test)]
        found = [Found(path, (label_by_pattern(spec, path),)) for path in paths]
    train, valid = split_by_pct(found, share_of(spec), spec.split_seed)
    return scan.listing(spec, train, valid, test_pictures(spec, scan))


def _mask_of(root: Path, pictures: Path, picture: Path, spec: DataSpec) -> Path:
    assert spec.masks is not None
    place = picture.relative_to(pictures)
    name = place.stem + spec.masks.suffix + (spec.masks.extension or place.suffix)
    return _inside(root, spec.masks.masks, "data.masks.masks") / place.with_name(name)


def label_by_pattern(spec: DataSpec, path: Path) -> str:
    """fastai's rule of `from_name_re`. Raises LearnerError where the pattern finds nothing."""
    pattern = spec.pattern or ""
    try:
        match = re.search(pattern, path.as_posix())
    except re.error as error:
        raise LearnerError("data.names.pattern", f"{pattern!r} is no regular expression: {error}") from None
    if match is None or not match.groups():
        raise LearnerError("data.names.pattern", f'Failed to find "{pattern}" in "{path}"')
    return match[1]


def share_of(spec: DataSpec) -> float:
    """The share that validates, of a source without a split of its own."""
    return _DEFAULT_VALID_PCT if spec.valid_pct is None else spec.valid_pct


def place_beneath(root: Path, path: Path) -> str:
    """A file's place below the data's folder. Raises LearnerError for one outside it."""
    whole = path if path.is_absolute() else root / path
    try:
        return whole.relative_to(root).as_posix()
    except ValueError:
        pass
    try:
        return resolve_beneath(root.resolve(), whole).as_posix()
    except (OSError, RefusedFile) as error:
        raise LearnerError("data.list.items", f"{path} is not in {root}: {error}") from None
