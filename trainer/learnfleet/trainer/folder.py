"""An image folder as lists of labelled files. Imports neither torch nor Pillow."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np

from learnfleet.trainer.data_spec import DataSpec
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.files import RefusedFile, resolve_beneath
from learnfleet.trainer.listing import FolderListing, Found, Ignored, NoPictures, Refused, assemble
from learnfleet.trainer.manifest import MANIFEST_FILE, MODEL_FILE

_READ = (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".apng", ".webp", ".gif", ".bmp", ".dib", ".tif", ".tiff")
_READ_TOO = (".jp2", ".j2k")
# Listed although decode_image refuses them: a folder of phone pictures is then reported and not silently left out.
_NOT_READ = (".avif", ".heic", ".heif")
IMAGE_SUFFIXES = frozenset({*_READ, *_READ_TOO, *_NOT_READ})
_LEFTOVERS = ("__MACOSX",)
_MAX_DEPTH = 32  # below a class folder; the walk recurses


def scan_folder(spec: DataSpec) -> FolderListing:
    """List the pictures of `spec.path` and split them into training and validation.

    The class of a picture is the name of the folder it lies in. Folders inside a folder that holds pictures itself
    belong to that folder's class. Hidden entries are skipped, links to folders are not followed, and links to files
    only if they stay in the tree.

    Raises LearnerError if a folder does not exist or leads out of the tree.
    """
    root = Path(spec.path)
    scan = FolderScan(root.resolve())
    if spec.valid_pct is None:
        train = scan.labelled(inner_folder(root, spec.train, "data.folder.train"))
        valid = scan.labelled(inner_folder(root, spec.valid, "data.folder.valid"))
    else:
        found = scan.labelled(existing(root), leave_out=spec.test)
        train, valid = split_by_pct(found, spec.valid_pct, spec.split_seed)
    return scan.listing(spec, train, valid, test_pictures(spec, scan))


def test_pictures(spec: DataSpec, scan: FolderScan) -> list[Found]:
    """The pictures of the test folder, if there is to be one."""
    if spec.test is None:
        return []
    return scan.pictures(inner_folder(Path(spec.path), spec.test, "data.test"))


_T = TypeVar("_T")


def split_by_pct(found: Sequence[_T], valid_pct: float, seed: int) -> tuple[list[_T], list[_T]]:
    """fastai's `split_by_rand_pct`: validation in drawn order, training in the order of the folder.

    Raises LearnerError for a seed that NumPy's legacy generator does not take.
    """
    if not 0 <= seed < 2**32:
        raise LearnerError("data.folder.split_seed", f"{seed} is not in [0, 2**32)")
    order = np.random.RandomState(seed).permutation(len(found))
    n_valid = int(valid_pct * len(found))
    return [found[i] for i in sorted(order[n_valid:])], [found[i] for i in order[:n_valid]]


class FolderScan:
    """One walk over the folder: counts what it passes over."""

    def __init__(self, real_root: Path) -> None:
        self._root = real_root
        self._ignored: Counter[str] = Counter()
        self._refused: list[Refused] = []
        self._no_pictures: list[NoPictures] = []

    def labelled(self, folder: Path, leave_out: str | None = None) -> list[Found]:
        """Pictures with their class names, folder by folder in the order of their names.

        Args:
            leave_out: a folder that holds no class. By its whole name: fastai also leaves out what begins alike.
        """
        found: list[Found] = []
        for entry in self._entries(folder):
            if entry.is_dir() and entry.name != leave_out:
                found.extend(self._class_folder(Path(entry.path), label=None))
            elif entry.is_dir():
                continue
            else:
                self._ignored["no_class"] += 1
        return found

    def _class_folder(self, folder: Path, label: str | None, depth: int = 0) -> Iterator[Found]:
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
                yield Found(Path(entry.path), (label,))

    def pictures(self, folder: Path, depth: int = 0) -> list[Found]:
        """All pictures below a folder, without labels, by name."""
        if depth > _MAX_DEPTH:
            self._ignored["too_deep"] += 1
            return []
        found: list[Found] = []
        for entry in self._entries(folder):
            path = Path(entry.path)
            found.extend(self.pictures(path, depth + 1) if entry.is_dir() else [Found(path)])
        return found

    def _passed_over(self) -> int:
        return sum(self._ignored.values()) - self._ignored["hidden"] + len(self._refused)

    def _entries(self, folder: Path) -> list[os.DirEntry[str]]:
        """Real folders and readable pictures, by name. None of an export or saved state: its example is no data."""
        with os.scandir(folder) as entries:
            found = sorted(entries, key=lambda entry: entry.name)
        if {MANIFEST_FILE, MODEL_FILE} <= {entry.name for entry in found}:
            self._ignored["other_files"] += len(found)
            return []
        return [entry for entry in found if self._admits(entry)]

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

    def listing(
        self, spec: DataSpec, train: Sequence[Found], valid: Sequence[Found], test: Sequence[Found]
    ) -> FolderListing:
        """What was found, with what was passed over on the way."""
        notes = Ignored(**self._ignored), tuple(self._refused), tuple(self._no_pictures)
        return assemble(spec, train, valid, test, *notes)


def _is_dir(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False  # a link to itself


def inner_folder(root: Path, name: str, field: str) -> Path:
    """A folder inside the data's. Raises LearnerError if it leads out or is not there."""
    folder = existing(root) / name
    if not folder.resolve().is_relative_to(root.resolve()):
        raise LearnerError(field, f"{name!r} leads out of {root}")
    if not folder.is_dir():
        raise LearnerError(field, f"no folder {name!r} in {root}; {describe_folder(root)}")
    return folder


def existing(folder: Path) -> Path:
    """The folder itself. Raises LearnerError if it is none."""
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
