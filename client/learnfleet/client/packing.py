"""What is uploaded as a stream of bytes that is the same every time, so that an upload can go on where it stopped."""

from __future__ import annotations

import bisect
import os
import tarfile
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Protocol

CHUNK_BYTES = 2**20
_BLOCK = tarfile.BLOCKSIZE
_END = bytes(2 * _BLOCK)
_LEFTOVERS = ("__MACOSX",)
_MOST_TOLD = 10
_ARCHIVES = {".tar": "tar", ".tar.gz": "tar.gz", ".tgz": "tar.gz", ".zip": "zip"}


class Packed(Protocol):
    """Bytes to upload."""

    packing: str  # tar, tar.gz or zip
    size_bytes: int

    def described(self) -> str:
        """Another text whenever the bytes may be other ones: names, sizes and times of all files."""
        ...

    def read(self, offset: int) -> Iterator[bytes]:
        """The bytes from `offset` on, in pieces of at most CHUNK_BYTES. Raises ValueError if a file has changed."""
        ...


def pack(path: Path) -> Packed:
    """A folder, an archive, or one other file. Nothing is read yet. Raises ValueError, OSError."""
    packing = next((kind for ending, kind in _ARCHIVES.items() if path.name.lower().endswith(ending)), None)
    if path.is_dir() or packing is None:
        return PackedFiles(path)
    return PackedArchive(path, packing)


class PackedArchive:
    """An archive as it is."""

    def __init__(self, path: Path, packing: str) -> None:
        self.packing = packing
        self._file = _file(path.name, path)
        self.size_bytes = self._file.size_bytes

    def described(self) -> str:
        return repr(self._file)

    def read(self, offset: int) -> Iterator[bytes]:
        return self._file.read(offset)


@dataclass(frozen=True)
class _File:
    """A file and what it was when it was listed."""

    name: str
    path: Path
    size_bytes: int
    mtime_ns: int

    def read(self, offset: int) -> Iterator[bytes]:
        left = self.size_bytes - offset
        with self.path.open("rb") as file:
            info = os.fstat(file.fileno())
            if (info.st_size, info.st_mtime_ns) != (self.size_bytes, self.mtime_ns):
                raise ValueError(f"{self.path} has changed since the upload began; begin it anew")
            file.seek(offset)
            while left > 0:
                piece = file.read(min(CHUNK_BYTES, left))
                if not piece:
                    raise ValueError(f"{self.path} has become shorter while it was read")
                left -= len(piece)
                yield piece

    def header(self) -> bytes:
        """Of a tar archive, without anything that differs from one machine or day to the next."""
        info = tarfile.TarInfo(self.name)
        info.size = self.size_bytes
        return info.tobuf(tarfile.PAX_FORMAT)

    @property
    def padding(self) -> bytes:
        return bytes(-self.size_bytes % _BLOCK)


def _file(name: str, path: Path) -> _File:
    info = path.stat()
    return _File(unicodedata.normalize("NFC", name), path, info.st_size, info.st_mtime_ns)


class PackedFiles:
    """A folder, or one file, as a tar archive that is made while it is read: by name, without times and owners.

    Hidden files are left out, and links but those to files inside. Raises ValueError that names the files whose names
    the server would refuse.
    """

    packing = "tar"

    def __init__(self, path: Path) -> None:
        root = path.resolve(strict=True)
        found = _files(root, root, "") if root.is_dir() else [_file(path.name, root)]
        self._files = sorted(found, key=lambda file: file.name)
        _check_names([file.name for file in self._files], path)
        sizes = (len(file.header()) + file.size_bytes + len(file.padding) for file in self._files)
        self._starts = [0, *accumulate(sizes)]  # of each file's header; last: of the archive's end
        self.size_bytes = self._starts[-1] + len(_END)

    def described(self) -> str:
        return repr(self._files)

    def read(self, offset: int) -> Iterator[bytes]:
        return _in_chunks(self._pieces(offset))

    def _pieces(self, offset: int) -> Iterator[bytes]:
        first = max(bisect.bisect_right(self._starts, offset) - 1, 0)
        for index in range(first, len(self._files)):
            file, inner = self._files[index], max(offset - self._starts[index], 0)
            header = file.header()
            yield header[inner:]
            inner = max(inner - len(header), 0)
            if inner < file.size_bytes:
                yield from file.read(inner)
            yield file.padding[max(inner - file.size_bytes, 0) :]
        yield _END[max(offset - self._starts[-1], 0) :]


def _in_chunks(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Small pieces together, none larger than a chunk."""
    waiting = bytearray()
    for piece in pieces:
        waiting += piece
        while len(waiting) >= CHUNK_BYTES:
            yield bytes(waiting[:CHUNK_BYTES])
            del waiting[:CHUNK_BYTES]
    if waiting:
        yield bytes(waiting)


def _files(root: Path, folder: Path, prefix: str) -> Iterator[_File]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(".") or entry.name in _LEFTOVERS:
                continue
            if entry.is_dir(follow_symlinks=False):
                yield from _files(root, Path(entry.path), f"{prefix}{entry.name}/")
            elif entry.is_file(follow_symlinks=False) or _is_inner_file(root, entry):
                yield _file(prefix + entry.name, Path(entry.path))


def _is_inner_file(root: Path, entry: os.DirEntry[str]) -> bool:
    if not entry.is_symlink():
        return False
    try:
        real = Path(entry.path).resolve(strict=True)
        return real.is_relative_to(root) and real.is_file()
    except (OSError, RuntimeError):  # leads nowhere, or round in a circle
        return False


def _check_names(names: list[str], folder: Path) -> None:
    """Before gigabytes are sent: the server says the same, at the end."""
    if not names:
        raise ValueError(f"{folder} holds no file")
    wrong = [f"{name!r} holds a backslash, a control character or no UTF-8" for name in names if not _is_portable(name)]
    folders = {name[:place] for name in names for place, letter in enumerate(name) if letter == "/"}
    seen: dict[str, str] = {}
    for name in [*sorted(folders), *names]:
        if (other := seen.setdefault(name.casefold(), name)) is not name:
            wrong.append(f"{name!r} and {other!r} are one name on some storages")
    if wrong:
        more = f"; and {len(wrong) - _MOST_TOLD} more" if len(wrong) > _MOST_TOLD else ""
        raise ValueError(f"these files of {folder} cannot be uploaded: {'; '.join(wrong[:_MOST_TOLD])}{more}")


def _is_portable(name: str) -> bool:
    return "\\" not in name and not any(unicodedata.category(letter) in ("Cc", "Cs") for letter in name)
