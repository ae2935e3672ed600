"""Whether a data folder can be trained on, before a job is accepted. Imports no torch."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from learnfleet.trainer.data_spec import DataSpec, LabelKind
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.images import BadImage, decode_image
from learnfleet.trainer.listing import FolderListing, Item
from learnfleet.trainer.mask_files import read_mask
from learnfleet.trainer.sources import list_data, share_of
from learnfleet.trainer.transform_components import check_transforms


@dataclass(frozen=True)
class FolderProblem:
    """One thing that is wrong with a data specification."""

    field: str  # as in the API: "data.folder.path"
    message: str


def check_folder_within(spec: DataSpec, timeout_s: float) -> list[FolderProblem]:
    """`check_folder` in a process of its own, which is ended when it takes too long.

    For what a stranger's regular expression is searched in: it may take for ever, and no thread can be made to stop.
    """
    command = [sys.executable, "-m", "learnfleet.trainer.folder_check"]
    given = json.dumps(spec.to_json()).encode()
    try:
        done = subprocess.run(command, input=given, capture_output=True, timeout=timeout_s, check=True)
    except subprocess.TimeoutExpired:
        told = f"searching it took longer than {timeout_s:g} s; make the expression simpler"
        return [FolderProblem("data.names.pattern", told)]
    return [FolderProblem(**item) for item in json.loads(done.stdout)]


def check_folder(spec: DataSpec) -> list[FolderProblem]:
    """Everything that would keep a learner from training on these data; empty if it can. Transforms are looked at, too.

    Blocks: walks the whole folder, and decodes one good picture of each class and one of the validation set.
    """
    if spec.valid_pct is not None and not 0 < spec.valid_pct < 1:
        return [FolderProblem(f"data.{spec.source}.valid_pct", f"{spec.valid_pct} is not a share between 0 and 1")]
    try:
        check_transforms(spec)
        listing = list_data(spec)
    except LearnerError as error:
        return [FolderProblem(error.field, error.message)]
    except OSError as error:
        return [FolderProblem("data.folder.path", f"{error.filename} cannot be read: {error.strerror}")]
    problems = _class_problems(spec, listing) if spec.labels is LabelKind.CATEGORY else _picture_problems(spec, listing)
    return [*problems, *_valid_problems(spec, listing), *_size_problems(spec, listing)]


def _picture_problems(spec: DataSpec, listing: FolderListing) -> Iterator[FolderProblem]:
    field = f"data.{spec.source}"
    if not listing.train:
        yield FolderProblem(field, f"names no picture to train on in {spec.path}")
    elif len(broken := _broken_before_first_good(list(listing.train), Path(spec.path))) == len(listing.train):
        yield FolderProblem(field, f"no training picture can be read: {_describe(broken)}")
    if spec.labels is LabelKind.MASK:
        yield from _mask_problems(spec, listing)


def _mask_problems(spec: DataSpec, listing: FolderListing) -> Iterator[FolderProblem]:
    """Of the first training mask: its fault is most likely that of all."""
    for item in listing.train[:1]:
        if isinstance(item.label, Path):
            try:
                read_mask(item.label, Path(spec.path), len(listing.classes))
            except BadImage as error:
                yield FolderProblem("data.masks", f"{item.label.name} cannot be read: {error.reason}")
            except LearnerError as error:
                yield FolderProblem(error.field, error.message)


def _class_problems(spec: DataSpec, listing: FolderListing) -> Iterator[FolderProblem]:
    is_folder = spec.source == "folder"
    field = "data.folder.path" if is_folder else f"data.{spec.source}"
    where = str(Path(spec.path) / spec.train) if is_folder and spec.valid_pct is None else spec.path
    if not listing.train:
        refused = f" ({len(listing.refused)} refused: {listing.refused[0].reason})" if listing.refused else ""
        must = f"; pictures must lie in {where}/<class>/" if is_folder else ""
        yield FolderProblem(field, f"no picture in a class folder of {where}{refused}{must}")
        return
    if len(listing.classes) < 2:
        only = listing.classes[0]
        yield FolderProblem(
            field, f"only one class, {only!r}, in {where}; a classifier needs at least two class folders"
        )
    for name, broken in _broken_classes(listing, Path(spec.path)):
        yield FolderProblem(field, f"class {name!r} has no valid picture: {_describe(broken)}")
    if is_folder and spec.valid_pct is None:
        yield from _folders_of_other_files(spec, listing)


def _folders_of_other_files(spec: DataSpec, listing: FolderListing) -> Iterator[FolderProblem]:
    train = Path(spec.path) / spec.train
    for folder in listing.no_pictures:
        if folder.other_entries and folder.path.is_relative_to(train):
            message = (
                f"class {folder.path.name!r} has no valid picture: {folder.other_entries} other files in {folder.path}"
            )
            yield FolderProblem("data.folder.path", f"{message}; add pictures or remove the folder")


def _broken_classes(listing: FolderListing, root: Path) -> Iterator[tuple[str, list[BadImage]]]:
    by_class: dict[int, list[Item]] = defaultdict(list)
    for item in listing.train:
        if isinstance(item.label, int):
            by_class[item.label].append(item)
    for label, items in sorted(by_class.items()):
        broken = _broken_before_first_good(items, root)
        if len(broken) == len(items):
            yield listing.classes[label], broken


def _broken_before_first_good(items: list[Item], root: Path) -> list[BadImage]:
    broken = []
    for item in items:
        try:
            decode_image(item.path, min_side=1, root=root)
        except BadImage as error:
            broken.append(error)
        else:
            break
    return broken


def _valid_problems(spec: DataSpec, listing: FolderListing) -> Iterator[FolderProblem]:
    by_share = spec.valid_pct is not None or spec.source != "folder"
    field = f"data.{spec.source}.{'valid_pct' if by_share else 'valid'}"
    if not listing.valid and by_share:
        n = len(listing.train)
        yield FolderProblem(field, f"{share_of(spec)} of {n} pictures is not one picture to validate on; raise it")
    elif not listing.valid:
        unknown = listing.ignored.unknown_class
        why = f"its {unknown} pictures are of classes that {spec.train!r} does not have" if unknown else "it is empty"
        yield FolderProblem(field, f"no picture to validate on in {Path(spec.path) / spec.valid}: {why}")
    elif len(broken := _broken_before_first_good(list(listing.valid), Path(spec.path))) == len(listing.valid):
        yield FolderProblem(field, f"no valid picture to validate on: {_describe(broken)}")


def _size_problems(spec: DataSpec, listing: FolderListing) -> Iterator[FolderProblem]:
    n = len(listing.train)
    if 0 < n < spec.bs:
        yield FolderProblem(
            "data.batch_size", f"{spec.bs} is more than the {n} training pictures; lower it to {n} or less"
        )


def _describe(broken: list[BadImage]) -> str:
    first = broken[0]
    others = f" (and {len(broken) - 1} more)" if len(broken) > 1 else ""
    return f"{Path(first.path).name}: {first.reason}{others}"


if __name__ == "__main__":
    problems = check_folder(DataSpec.from_json(json.load(sys.stdin)))
    json.dump([vars(problem) for problem in problems], sys.stdout)
