"""Where pictures and labels come from, from protobuf, with everything that is wrong with it."""

from __future__ import annotations

import math
from pathlib import PurePosixPath
from typing import Literal

from learnfleet.server.rpc.source_places import Folders
from learnfleet.server.rpc.violations import Violations
from learnfleet.trainer.data_spec import DataSpec, LabelKind, ListedItem, MaskSpec, TableSpec
from learnfleet.v1 import learner_pb2 as pb

LABEL_KINDS = {
    LabelKind.CATEGORY: pb.LABEL_KIND_CATEGORY,
    LabelKind.MULTI_CATEGORY: pb.LABEL_KIND_MULTI_CATEGORY,
    LabelKind.FLOAT: pb.LABEL_KIND_FLOAT,
    LabelKind.MASK: pb.LABEL_KIND_MASK,
    LabelKind.POINTS: pb.LABEL_KIND_POINTS,
    LabelKind.IMAGE: pb.LABEL_KIND_IMAGE,
}
_KINDS = {number: kind for kind, number in LABEL_KINDS.items()}
PARTS: dict[int, Literal["train", "valid", "test"]] = {
    pb.DATASET_TYPE_UNSPECIFIED: "train",
    pb.DATASET_TYPE_TRAIN: "train",
    pb.DATASET_TYPE_VALID: "valid",
    pb.DATASET_TYPE_TEST: "test",
}
_DEFAULT_SPLIT_SEED = 42
_DEFAULT_VALID_PCT = 0.2
_MAX_SPLIT_SEED = 2**32 - 1  # of numpy's legacy generator, which fastai splits with
_MAX_ITEMS = 1_000_000
_MAX_CLASSES = 100_000
_MAX_PATTERN = 200
_IN_FILES_OR_LISTS = (LabelKind.MASK, LabelKind.POINTS, LabelKind.IMAGE)


def read_source(message: pb.DataSpec, field: str, found: Violations, folders: Folders) -> DataSpec | None:
    """A specification of the source alone; None where it has no path."""
    if message.test:
        _inner(message.test, f"{field}.test", found)
    source = message.WhichOneof("source")
    if source is None:
        found.add(f"{field}.folder", "is missing; must say where the pictures are")
        return None
    inside = f"{field}.{source}"
    given: pb.FolderSource | pb.TableSource | pb.NamesSource | pb.ListSource | pb.MasksSource
    given = getattr(message, source)
    resolved = found.attempt(lambda: folders.resolve(given.path, f"{inside}.path"))
    path = "" if resolved is None else str(resolved)
    if isinstance(given, pb.FolderSource):
        read = _folder(given, inside, found, path)
    elif isinstance(given, pb.TableSource):
        read = _table(given, inside, found, path)
    elif isinstance(given, pb.NamesSource):
        read = _names(given, inside, found, path)
    elif isinstance(given, pb.ListSource):
        read = _list(given, inside, found, path)
    else:
        read = _masks(given, inside, found, path)
    return read if path else None


def read_labels(message: pb.DataSpec, field: str, found: Violations) -> LabelKind | None:
    """What the targets are, which must go with the source."""
    is_masks = message.WhichOneof("source") == "masks"
    kind = _KINDS.get(message.labels)
    if message.labels == pb.LABEL_KIND_UNSPECIFIED:
        kind = LabelKind.MASK if is_masks else LabelKind.CATEGORY
    if not found.check(kind is not None, f"{field}.labels", f"{message.labels} is no LabelKind"):
        return None
    assert kind is not None
    source = message.WhichOneof("source") or ""
    misfit = _misfit(kind, source)
    found.check(not misfit, f"{field}.labels", misfit)
    if source == "list":
        _check_targets(message, kind, field, found)
    found.check(
        not message.normalizes_targets or kind is LabelKind.IMAGE, f"{field}.normalizes_targets", "is for IMAGE"
    )
    if found.length(f"{field}.classes", len(message.classes), _MAX_CLASSES):
        repeated = len(set(message.classes)) != len(message.classes)
        found.check(not repeated, f"{field}.classes", "names a class twice")
        missing = kind is LabelKind.MASK and not message.classes
        found.check(not missing, f"{field}.classes", "is empty; masks need the names of their classes")
    found.check(not message.log or kind is LabelKind.FLOAT, f"{field}.log", "is only for FLOAT labels")
    return kind


def _misfit(kind: LabelKind, source: str) -> str:
    """What would be right where targets of a kind cannot come from a source; "" where they can."""
    if source == "masks":
        return "" if kind is LabelKind.MASK else "must be MASK for the source `masks`"
    if source in ("folder", "names"):
        right = "must be CATEGORY: names of folders and files give one class a picture"
        return "" if kind is LabelKind.CATEGORY else right
    if source == "table" and kind in _IN_FILES_OR_LISTS:
        return f"{kind.name} needs a source that names the target of each picture: `list`, or `masks` for MASK"
    return ""


def _check_targets(message: pb.DataSpec, kind: LabelKind, field: str, found: Violations) -> None:
    """Of listed pictures: each has what its kind of target is told by."""
    for index, item in enumerate(message.list.items[:_MAX_ITEMS]):
        if item.part == pb.DATASET_TYPE_TEST:
            continue
        if kind is LabelKind.POINTS:
            is_pairs = len(item.values) > 0 and len(item.values) % 2 == 0
            told = f"has {len(item.values)} numbers; must have a row and a column for each point"
            found.check(is_pairs, f"{field}.list.items[{index}].values", told)
        elif kind is LabelKind.IMAGE:
            found.check(bool(item.mask), f"{field}.list.items[{index}].mask", "is empty; must name the target picture")


def _inner(value: str, field: str, found: Violations) -> None:
    parts = PurePosixPath(value).parts
    is_inside = not value.startswith("/") and ".." not in parts and "\0" not in value
    found.check(is_inside, field, f"'{value[:80]}' must be the name of a folder or file inside path")


def _split(message: pb.RandomSplit, field: str, found: Violations) -> tuple[float, int]:
    valid_pct = message.valid_pct if message.HasField("valid_pct") else _DEFAULT_VALID_PCT
    seed = message.seed if message.HasField("seed") else _DEFAULT_SPLIT_SEED
    found.number(f"{field}.valid_pct", valid_pct, 0, 1, open_ends=True)
    found.number(f"{field}.seed", seed, 0, _MAX_SPLIT_SEED)
    return valid_pct, seed


def _folder(message: pb.FolderSource, field: str, found: Violations, path: str) -> DataSpec:
    for name in ("train", "valid"):
        value = getattr(message, name)
        parts = PurePosixPath(value).parts
        is_inside = not value.startswith("/") and ".." not in parts and "\0" not in value
        found.check(is_inside, f"{field}.{name}", f"'{value[:80]}' must be the name of a folder inside path")
    if message.HasField("valid_pct"):
        found.number(f"{field}.valid_pct", message.valid_pct, 0, 1, open_ends=True)
    if message.HasField("split_seed"):
        found.number(f"{field}.split_seed", message.split_seed, 0, _MAX_SPLIT_SEED)
    return DataSpec(
        path=path,
        train=message.train or "train",
        valid=message.valid or "valid",
        valid_pct=message.valid_pct if message.HasField("valid_pct") else None,
        split_seed=message.split_seed if message.HasField("split_seed") else _DEFAULT_SPLIT_SEED,
    )


def _table(message: pb.TableSource, field: str, found: Violations, path: str) -> DataSpec:
    for name in ("file", "folder"):
        _inner(getattr(message, name), f"{field}.{name}", found)
    found.check(len(message.delimiter) <= 1, f"{field}.delimiter", "must be one character")
    found.length(f"{field}.label_cols", len(message.label_cols), _MAX_CLASSES)
    valid_pct, seed = _split(message.split, f"{field}.split", found)
    table = TableSpec(
        file=message.file or "labels.csv",
        folder=message.folder,
        suffix=message.suffix,
        fn_col=message.fn_col or 0,
        label_cols=tuple(message.label_cols) or (1,),
        label_delim=message.label_delim or None,
        delimiter=message.delimiter or ",",
        header=not message.no_header,
        valid_col=message.valid_col or None,
    )
    return DataSpec(path=path, source="table", table=table, valid_pct=valid_pct, split_seed=seed)


def _names(message: pb.NamesSource, field: str, found: Violations, path: str) -> DataSpec:
    right = f"must have 1 to {_MAX_PATTERN} characters"
    found.check(0 < len(message.pattern) <= _MAX_PATTERN, f"{field}.pattern", right)
    valid_pct, seed = _split(message.split, f"{field}.split", found)
    return DataSpec(path=path, source="names", pattern=message.pattern, valid_pct=valid_pct, split_seed=seed)


def _list(message: pb.ListSource, field: str, found: Violations, path: str) -> DataSpec:
    found.check(len(message.items) > 0, f"{field}.items", "is empty; must list the pictures")
    if not found.length(f"{field}.items", len(message.items), _MAX_ITEMS):
        return DataSpec(path=path, source="list", items=())
    items = [_item(item, f"{field}.items[{index}]", found) for index, item in enumerate(message.items)]
    return DataSpec(path=path, source="list", items=tuple(items))


def _item(message: pb.ListedItem, field: str, found: Violations) -> ListedItem:
    found.check(bool(message.file), f"{field}.file", "is empty; must name a picture")
    _inner(message.file, f"{field}.file", found)
    _inner(message.mask, f"{field}.mask", found)
    found.check(all(map(math.isfinite, message.values)), f"{field}.values", "must all be finite")
    part = PARTS.get(message.part)
    found.check(part is not None, f"{field}.part", f"{message.part} is none of TRAIN, VALID and TEST")
    return ListedItem(message.file, tuple(message.labels), tuple(message.values), message.mask, part or "train")


def _masks(message: pb.MasksSource, field: str, found: Violations, path: str) -> DataSpec:
    for name in ("pictures", "masks", "suffix", "extension"):
        _inner(getattr(message, name), f"{field}.{name}", found)
    for name in ("suffix", "extension"):
        found.check("/" not in getattr(message, name), f"{field}.{name}", "must be a part of a file's name")
    valid_pct, seed = _split(message.split, f"{field}.split", found)
    masks = MaskSpec(message.pictures or "images", message.masks or "labels", message.suffix, message.extension)
    return DataSpec(path=path, source="masks", masks=masks, valid_pct=valid_pct, split_seed=seed)
