"""What a data source holds, as values: pictures with their targets. Imports neither torch nor Pillow."""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from learnfleet.trainer.data_spec import DataSpec, LabelKind
from learnfleet.trainer.errors import LearnerError

WHOLE_NUMBER = re.compile(r"[+-]?[0-9]+")
# Index of the class, boxes, indices of the classes, numbers, the file of a mask or picture, or nothing known.
Label: TypeAlias = "int | Boxes | tuple[int, ...] | tuple[float, ...] | Path | None"


BACKGROUND = "background"  # fastai's class 0 of boxes, which none is of


@dataclass(frozen=True)
class Boxes:
    """Any number of boxes in a picture, with a class each."""

    corners: tuple[float, ...]  # top, left, bottom, right of each, in pixels of the file
    classes: tuple[int, ...]


@dataclass(frozen=True)
class Item:
    """A picture file and its target."""

    path: Path
    label: Label

    def __iter__(self) -> Iterator[Path | Label]:
        """As fastai's pair of input and target: `x, y = data.valid_ds[0]`."""
        return iter((self.path, self.label))

    def __getitem__(self, index: int) -> Path | Label:
        return (self.path, self.label)[index]


@dataclass(frozen=True)
class Found:
    """A picture file and what its source says of it."""

    path: Path
    labels: tuple[str, ...] = ()
    values: tuple[float, ...] = ()
    mask: Path | None = None


@dataclass(frozen=True)
class Refused:
    """A picture that the scan found but will not read."""

    path: Path
    reason: str


@dataclass(frozen=True)
class NoPictures:
    """A would-be class folder that holds neither a picture nor a folder."""

    path: Path
    other_entries: int  # that are not hidden


@dataclass(frozen=True)
class Ignored:
    """How many entries of the folder were passed over, by reason."""

    hidden: int = 0  # names that start with a dot, and __MACOSX
    other_files: int = 0  # no extension of a picture
    links: int = 0  # folders that are links: they may lead round in circles
    special: int = 0  # FIFOs, sockets, devices
    too_deep: int = 0  # folders more than 32 levels down
    no_class: int = 0  # pictures that lie in no class folder
    unknown_class: int = 0  # validation pictures of a class that no training picture has


@dataclass(frozen=True)
class FolderListing:
    """What a data source holds, in an order that depends on the names alone."""

    classes: tuple[str, ...]
    train: tuple[Item, ...]
    valid: tuple[Item, ...]
    test: tuple[Item, ...] = ()
    kind: LabelKind = LabelKind.CATEGORY
    ignored: Ignored = Ignored()
    refused: tuple[Refused, ...] = ()
    no_pictures: tuple[NoPictures, ...] = ()


def assemble(
    spec: DataSpec,
    train: Sequence[Found],
    valid: Sequence[Found],
    test: Sequence[Found] = (),
    ignored: Ignored = Ignored(),  # frozen
    refused: tuple[Refused, ...] = (),
    no_pictures: tuple[NoPictures, ...] = (),
) -> FolderListing:
    """Targets of the kind that the specification says. Classes are the sorted labels of the training pictures unless
    given; pictures of other labels are dropped, with a warning, as fastai does.

    Raises LearnerError for a picture whose target is missing or of another kind.
    """
    classes = tuple(spec.classes) if spec.classes is not None else _classes(spec, train)
    if spec.labels is LabelKind.BOXES and classes[:1] != (BACKGROUND,):
        classes = (BACKGROUND, *classes)
    numbers = {name: number for number, name in enumerate(classes)}
    known_train, lost_train = _known(spec, train, numbers)
    known_valid, lost_valid = _known(spec, valid, numbers)
    if lost_train or lost_valid:
        _warn_of_unknown([*lost_train, *lost_valid])
    if spec.labels is LabelKind.MULTI_CATEGORY:
        _warn_of_unknown_among([*train, *valid], numbers)
    return FolderListing(
        classes,
        tuple(_item(spec, found, numbers) for found in known_train),
        tuple(_item(spec, found, numbers) for found in known_valid),
        tuple(Item(found.path, None) for found in test),
        spec.labels,
        Ignored(**{**vars(ignored), "unknown_class": len(lost_valid) + len(lost_train)}),
        refused,
        no_pictures,
    )


def _classes(spec: DataSpec, train: Sequence[Found]) -> tuple[str, ...]:
    if spec.labels is LabelKind.MASK:
        raise LearnerError("data.classes", "masks need the names of their classes, in the order of the pixel values")
    if spec.labels is LabelKind.IMAGE:
        return ("red", "green", "blue")
    if spec.labels is LabelKind.POINTS:
        count = max((len(found.values) // 2 for found in train), default=1)
        return tuple(f"{axis} {n}" for n in range(count) for axis in "yx") if count > 1 else ("y", "x")
    if spec.labels is LabelKind.FLOAT:
        count = max((len(found.values) for found in train), default=1)
        return tuple(f"value {number}" for number in range(count)) if count > 1 else ("value",)
    names = {label for found in train for label in found.labels}
    return tuple(sorted(names, key=_as_a_table_sorts if _is_numbered(spec, names) else None))


def _is_numbered(spec: DataSpec, names: set[str]) -> bool:
    """Whether these are whole numbers in a table, sorted by size (10 after 2) as in fastai; folders are not."""
    is_cell = spec.source == "table" and spec.labels is LabelKind.CATEGORY
    return is_cell and all(WHOLE_NUMBER.fullmatch(name) for name in names)


def _as_a_table_sorts(name: str) -> tuple[int, str]:
    return int(name), name


def _known(spec: DataSpec, items: Sequence[Found], numbers: dict[str, int]) -> tuple[list[Found], list[Found]]:
    """Those whose labels are all classes, and the others. An unknown label among several is dropped by itself."""
    if spec.labels is LabelKind.CATEGORY:
        return (
            [found for found in items if all(label in numbers for label in found.labels)],
            [found for found in items if not all(label in numbers for label in found.labels)],
        )
    return list(items), []


def _warn_of_unknown(lost: Sequence[Found]) -> None:
    names = sorted({label for found in lost for label in found.labels})
    warnings.warn(
        f"{len(lost)} items have unknown labels ({', '.join(names[:5])}{', …' if len(names) > 5 else ''}); the"
        " corresponding items have been discarded",
        stacklevel=2,
    )


def _warn_of_unknown_among(items: Sequence[Found], numbers: dict[str, int]) -> None:
    unknown = [{label for label in found.labels if label not in numbers} for found in items]
    names, count = sorted(set().union(*unknown)), sum(map(bool, unknown))
    if names:
        warnings.warn(
            f"{count} items have unknown labels ({', '.join(names[:5])}{', …' if len(names) > 5 else ''}) beside or in"
            " place of known ones; these labels have been left out",
            stacklevel=2,
        )


def _item(spec: DataSpec, found: Found, numbers: dict[str, int]) -> Item:
    if spec.labels is LabelKind.CATEGORY:
        if len(found.labels) != 1:
            raise LearnerError(
                "data.labels",
                f"{found.path.name} has {len(found.labels)} labels; one class a picture needs exactly one",
            )
        return Item(found.path, numbers[found.labels[0]])
    if spec.labels is LabelKind.MULTI_CATEGORY:
        return Item(found.path, tuple(sorted({numbers[label] for label in found.labels if label in numbers})))
    if spec.labels is LabelKind.BOXES:
        return Item(found.path, _boxes(found, numbers))
    if spec.labels is LabelKind.POINTS and spec.log:
        raise LearnerError("data.log", "points are places, of which there is no logarithm: leave it out")
    if spec.labels in (LabelKind.FLOAT, LabelKind.POINTS):
        return Item(found.path, _values(spec, found, len(numbers)))
    if spec.labels in (LabelKind.MASK, LabelKind.IMAGE):
        if found.mask is None:
            raise LearnerError("data.masks", f"{found.path.name} has no {spec.labels} that is its target")
        return Item(found.path, found.mask)
    return Item(found.path, None)


def _boxes(found: Found, numbers: dict[str, int]) -> Boxes:
    """Those of known classes."""
    corners = [found.values[4 * place : 4 * place + 4] for place in range(len(found.labels))]
    if len(found.values) != 4 * len(found.labels) or not all(math.isfinite(value) for value in found.values):
        told = f"{len(found.values)} numbers for {len(found.labels)} boxes"
        raise LearnerError("data.labels", f"{found.path.name} has {told}; 4 finite ones each are needed")
    for top, left, bottom, right in corners:
        if not (top <= bottom and left <= right):
            box = (top, left, bottom, right)
            raise LearnerError("data.labels", f"{found.path.name} has the box {box}, not (top, left, bottom, right)")
    known = [(box, numbers[name]) for box, name in zip(corners, found.labels, strict=True) if name in numbers]
    return Boxes(tuple(value for box, _ in known for value in box), tuple(number for _, number in known))


def _values(spec: DataSpec, found: Found, count: int) -> tuple[float, ...]:
    if len(found.values) != count or not all(math.isfinite(value) for value in found.values):
        raise LearnerError("data.labels", f"{found.path.name} has the values {found.values}; {count} finite are needed")
    if not spec.log:
        return found.values
    if min(found.values) <= 0:
        raise LearnerError("data.log", f"{found.path.name} has the values {found.values}: no logarithm of these")
    return tuple(math.log(value) for value in found.values)
