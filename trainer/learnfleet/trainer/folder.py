"""An image folder as lists of labelled files. Imports neither torch nor Pillow."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.files import RefusedFile, resolve_beneath
from learnfleet.trainer.spec import DataSpec

_READ = (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".apng", ".webp", ".gif", ".bmp", ".dib", ".tif", ".tiff")
_READ_TOO = (".jp2", ".j2k")
# Listed although decode_image refuses them: a folder of phone pictures is then reported and not silently left out.
_NOT_READ = (".avif", ".heic", ".heif")
IMAGE_SUFFIXES = frozenset({*_READ, *_READ_TOO, *_NOT_READ})
_LEFTOVERS = ("__MACOSX",)
_MAX_DEPTH = 32  # below a class folder; the walk recurses


@dataclass(frozen=True)
class Item:
    """A picture file and its class."""

    path: Path
    label: int  # index into the classes


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
    """What a data folder holds, in an order that depends on the names alone."""

    classes: tuple[str, ...]
    train: tuple[Item, ...]
    valid: tuple[Item, ...]
    ignored: Ignored = Ignored()
    refused: tuple[Refused, ...] = ()
    no_pictures: tuple[NoPictures, ...] = ()


def scan_folder(spec: DataSpec) -> FolderListing:
    """List the pictures of `spec.path` and split them into training and validation.

    The class of a picture is the name of the folder it lies in. Folders inside a folder that holds pictures itself
    belong to that folder's class. Hidden entries are skipped, links to folders are not followed, and links to files
    only if they stay in the tree.

    Raises LearnerError if a folder does not exist or leads out of the tree.
    """
    root = Path(spec.path)
    scan = _Scan(root.resolve())
    if spec.valid_pct is None:
        train = scan.labelled(_inner_folder(root, spec.train, "data.folder.train"))
        valid = scan.labelled(_inner_folder(root, spec.valid, "data.folder.valid"))
    else:
        train, valid = split_by_pct(scan.labelled(_existing(root)), spec.valid_pct, spec.split_seed)
    return scan.listing(train, valid)


_Labelled = tuple[Path, str]


def split_by_pct(found: list[_Labelled], valid_pct: float, seed: int) -> tuple[list[_Labelled], list[_Labelled]]:
    """fastai's `split_by_rand_pct`: validation in drawn order, training in the order of the folder.

    Raises LearnerError for a seed that NumPy's legacy generator does not take.
    """
    if not 0 <= seed < 2**32:
        raise LearnerError("data.folder.split_seed", f"{seed} is not in [0, 2**32)")
    order = np.random.RandomState(seed).permutation(len(found))
    n_valid = int(valid_pct * len(found))
    return [found[i] for i in sorted(order[n_valid:])], [found[i] for i in order[:n_valid]]


class _Scan:
    """One walk over the folder: counts what it passes over."""

    def __init__(self, real_root: Path) -> None:
        self._root = real_root
        self._ignored: Counter[str] = Counter()
        self._refused: list[Refused] = []
        self._no_pictures: list[NoPictures] = []

    def labelled(self, folder: Path) -> list[_Labelled]:
        """(picture, class name), folder by folder in the order of their names."""
        found: list[_Labelled] = []
        for entry in self._entries(folder):
            if entry.is_dir():
                found.extend(self._class_folder(Path(entry.path), label=None))
            else:
                self._ignored["no_class"] += 1
        return found

    def _class_folder(self, folder: Path, label: str | None, depth: int = 0) -> Iterator[_Labelled]:
        if depth > _MAX_DEPTH:
            self._ignored["too_deep"] += 1
            return
        seen_before = self._passed_over()
        entries = self._entries(folder)
        if label is None and not entries:
            self._no_pictures.append(NoPictures(folder, self._passed_over() - seen_before))
        if label is None and not all(entry.is_dir() for entry in entries):
            label = folder.name
        for entry in entries:
            if entry.is_dir():
                yield from self._class_folder(Path(entry.path), label, depth + 1)
            else:
                assert label is not None
                yield Path(entry.path), label

    def _passed_over(self) -> int:
        return sum(self._ignored.values()) - self._ignored["hidden"] + len(self._refused)

    def _entries(self, folder: Path) -> list[os.DirEntry[str]]:
        """Real folders and readable pictures, by name."""
        with os.scandir(folder) as entries:
            return [entry for entry in sorted(entries, key=lambda entry: entry.name) if self._admits(entry)]

    def _admits(self, entry: os.DirEntry[str]) -> bool:
        reason = self._reason_to_ignore(entry)
        if reason is None:
            return not entry.is_symlink() or self._link_stays(entry)
        self._ignored[reason] += 1
        return False

    @staticmethod
    def _reason_to_ignore(entry: os.DirEntry[str]) -> str | None:
        if entry.name.startswith(".") or entry.name in _LEFTOVERS:
            return "hidden"
        if entry.is_dir(follow_symlinks=False):
            return None
        is_picture = Path(entry.name).suffix.lower() in IMAGE_SUFFIXES
        if entry.is_symlink():
            return None if is_picture and not _is_dir(entry) else "links" if _is_dir(entry) else "other_files"
        if not entry.is_file(follow_symlinks=False):
            return "special"
        return None if is_picture else "other_files"

    def _link_stays(self, entry: os.DirEntry[str]) -> bool:
        path = Path(entry.path)
        try:
            resolve_beneath(self._root, path)
            if path.is_file():
                return True
            self._ignored["special"] += 1
        except RefusedFile as error:
            self._refused.append(Refused(path, str(error)))
        except (OSError, RuntimeError) as error:  # Path.resolve reports a loop as a RuntimeError
            self._refused.append(Refused(path, f"a link that leads nowhere: {error}"))
        return False

    def listing(self, train: list[_Labelled], valid: list[_Labelled]) -> FolderListing:
        classes = tuple(sorted({label for _, label in train}))
        numbers = {name: number for number, name in enumerate(classes)}
        known = [(path, label) for path, label in valid if label in numbers]
        self._ignored["unknown_class"] = len(valid) - len(known)
        return FolderListing(
            classes,
            _items(train, numbers),
            _items(known, numbers),
            Ignored(**self._ignored),
            tuple(self._refused),
            tuple(self._no_pictures),
        )


def _is_dir(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False  # a link to itself


def _items(found: Iterable[_Labelled], numbers: dict[str, int]) -> tuple[Item, ...]:
    return tuple(Item(path, numbers[label]) for path, label in found)


def _inner_folder(root: Path, name: str, field: str) -> Path:
    folder = _existing(root) / name
    if not folder.resolve().is_relative_to(root.resolve()):
        raise LearnerError(field, f"{name!r} leads out of {root}")
    if not folder.is_dir():
        raise LearnerError(field, f"no folder {name!r} in {root}; {describe_folder(root)}")
    return folder


def _existing(folder: Path) -> Path:
    if not folder.is_dir():
        raise LearnerError(
            "data.folder.path", f"{folder} {'is not a directory' if folder.exists() else 'does not exist'}"
        )
    return folder


def describe_folder(folder: Path, at_most: int = 8) -> str:
    """What lies in a folder, and what to do if that was not expected."""
    names = sorted(entry.name + "/" * entry.is_dir() for entry in folder.iterdir() if not entry.name.startswith("."))
    if not names:
        return "it is empty"
    more = f" and {len(names) - at_most} more" if len(names) > at_most else ""
    advice = "Name the folders in `train` and `valid`, or set `valid_pct` if these are the class folders"
    return f"it holds {', '.join(names[:at_most])}{more}. {advice}"
