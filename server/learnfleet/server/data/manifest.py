"""What a version of a data set holds, file by file; and whether it still does."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from learnfleet.server.data.errors import BadContent
from learnfleet.server.data.member_names import MAX_DEPTH, is_hidden
from learnfleet.server.names import new_id

_STEP_BYTES = 2**20
_HASHING_THREADS = 4


class FileEntry(NamedTuple):
    """One file. Times are the file system's, in nanoseconds.

    A tuple: a job may be on a million of them, and they are read before it begins.
    """

    path: str  # relative to the folder; bytes of other encodings as surrogates
    size_bytes: int
    mtime_ns: int
    ctime_ns: int  # moves with every change, also where somebody sets mtime back
    sha256: str

    def looks_like(self, info: os.stat_result) -> bool:
        return (self.size_bytes, self.mtime_ns, self.ctime_ns) == (info.st_size, info.st_mtime_ns, info.st_ctime_ns)


@dataclass(frozen=True)
class Manifest:
    """All files of a version, by path."""

    files: tuple[FileEntry, ...]

    @property
    def size_bytes(self) -> int:
        return sum(entry.size_bytes for entry in self.files)

    @property
    def sha256(self) -> str:
        """Of paths and contents, not of times: the same data have the same wherever they lie."""
        digest = hashlib.sha256()
        for entry in self.files:
            line = f"{entry.sha256} {entry.size_bytes} {entry.path}\0"
            digest.update(line.encode(errors="surrogateescape"))
        return digest.hexdigest()

    def save(self, path: Path) -> None:
        """One JSON array a line, durable when this returns."""
        temporary = path.with_suffix(f".{new_id()}")  # others may save the same content
        with temporary.open("w") as file:
            file.writelines(json.dumps(entry) + "\n" for entry in self.files)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)

    @classmethod
    def load(cls, path: Path) -> Manifest:
        """Raises OSError, ValueError."""
        with path.open() as file:
            return cls(tuple(FileEntry._make(json.loads(line)) for line in file))


def describe_folder(folder: Path, max_files: int) -> Manifest:
    """Read and hash all files below a folder. Hidden ones are none of it, links count where they stay inside.

    Blocks for as long as that takes. Raises BadContent where there is no file, or there are too many, or one changes
    while it is read; OSError.
    """
    root = folder.resolve(strict=True)
    names = []
    for name in file_names(root):
        names.append(name)
        if len(names) > max_files:
            raise BadContent(f"{folder} holds more than {max_files:,} files")
    if not names:
        raise BadContent(f"{folder} holds no file")
    with ThreadPoolExecutor(_HASHING_THREADS, thread_name_prefix="hash") as pool:
        return Manifest(tuple(pool.map(lambda name: _describe(root, name), sorted(names))))


def changes(folder: Path, manifest: Manifest, wanted: int = 10) -> list[str]:
    """What is no longer as it was: the first so many files, each with what happened to it. Blocks.

    A file is read only if its size or times are other ones; the same content is no change.
    """
    known = {entry.path: entry for entry in manifest.files}
    try:
        present = set(file_names(folder.resolve(strict=True)))
    except OSError as error:
        return [f"{folder}: {error.strerror}"]
    return _first(_changes(folder, known, present), wanted)


def _changes(folder: Path, known: dict[str, FileEntry], present: set[str]) -> Iterator[str]:
    for name, entry in known.items():
        if name not in present:
            yield f"{name!r} is gone"
        elif (why := _change(f"{folder}/{name}", entry)) is not None:
            yield f"{name!r} {why}"
    for name in sorted(present - known.keys()):
        yield f"{name!r} is new"


def _change(path: str, entry: FileEntry) -> str | None:
    try:
        info = os.stat(path)  # noqa: PTH116  # a Path for each of a million files takes longer than asking about it
        if entry.looks_like(info):
            return None
        if info.st_size != entry.size_bytes:
            return f"has {info.st_size:,} bytes, and had {entry.size_bytes:,}"
        return None if _sha256(Path(path)) == entry.sha256 else "has other content"
    except OSError as error:
        return f"cannot be read: {error.strerror}"


def _first(items: Iterator[str], wanted: int) -> list[str]:
    told: list[str] = []
    more = 0
    for item in items:
        if len(told) < wanted:
            told.append(item)
        else:
            more += 1
    return [*told, f"and {more:,} more"] if more else told


def file_names(root: Path) -> Iterator[str]:
    """Relative names of the regular files below a resolved folder, as the trainer sees them: hidden entries and links
    to folders are passed over, links to files count where they stay inside.
    """
    return _walk(root, root, "", 0)


def _walk(root: Path, folder: Path, prefix: str, depth: int) -> Iterator[str]:
    with os.scandir(folder) as found:
        entries = sorted(found, key=lambda entry: entry.name)
    for entry in entries:
        if entry.name[0] == "." or is_hidden(entry.name):
            continue
        if entry.is_dir(follow_symlinks=False):
            if depth < MAX_DEPTH:
                yield from _walk(root, Path(entry.path), f"{prefix}{entry.name}/", depth + 1)
        elif entry.is_file(follow_symlinks=False) or _is_inner_file(root, entry):
            yield prefix + entry.name


def _is_inner_file(root: Path, entry: os.DirEntry[str]) -> bool:
    """Whether a link leads to a regular file of the same folder."""
    if not entry.is_symlink():
        return False
    try:
        real = Path(entry.path).resolve(strict=True)
        return real.is_relative_to(root) and real.is_file()
    except (OSError, RuntimeError):  # leads nowhere, or round in a circle
        return False


def _describe(root: Path, name: str) -> FileEntry:
    path = root / name
    before = path.stat()
    sha256 = _sha256(path)
    after = path.stat()
    entry = FileEntry(name, before.st_size, before.st_mtime_ns, before.st_ctime_ns, sha256)
    if not entry.looks_like(after):
        raise BadContent(f"{name!r} changed while it was read; register the folder when nobody writes to it")
    return entry


def _sha256(path: Path) -> str:
    # Opening a FIFO that was put in a file's place would block: O_NONBLOCK does not.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb", buffering=0) as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(0, "not a regular file")
        digest = hashlib.sha256()
        while part := file.read(_STEP_BYTES):
            digest.update(part)
        return digest.hexdigest()
