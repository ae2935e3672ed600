"""Reading a file that somebody else named: regular files only, of bounded size, and none outside its tree.

Imports neither torch nor Pillow.
"""

from __future__ import annotations

import os
import stat
import threading
import weakref
from pathlib import Path

_MOST_FOLDERS, _LEAST_READ = 256, 4096


class FolderReader:
    """Reads files beneath a root, as `read_file`, many times: folders are opened once and kept open.

    A file that is a link, or lies where no folder was before, is read as `read_file` does. Safe from several threads.
    """

    def __init__(self, root: Path) -> None:
        self._root, self._folders = root, dict[Path, int]()
        self._lock = threading.Lock()
        self._finalizer = weakref.finalize(self, _close_all, self._folders)

    def read(self, path: Path, max_bytes: int) -> bytes:
        """The content of a regular file. Raises RefusedFile, or OSError from the system."""
        try:
            flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW
            descriptor = os.open(path.name, flags, dir_fd=self._folder(path.parent))
        except OSError:
            return read_file(path, max_bytes, self._root)
        return _content(descriptor, max_bytes)

    def _folder(self, folder: Path) -> int:
        with self._lock:
            known = self._folders.get(folder)
            if known is None:
                if len(self._folders) >= _MOST_FOLDERS:
                    raise OSError("too many folders to keep open")
                known = self._folders[folder] = _open_beneath(self._root, folder, os.O_RDONLY | os.O_DIRECTORY)
            return known


def _close_all(folders: dict[Path, int]) -> None:
    for descriptor in folders.values():
        os.close(descriptor)


class RefusedFile(OSError):
    """A file that exists but is not read: not regular, too large, or outside the tree. The text is the reason."""


def read_file(path: Path, max_bytes: int, root: Path | None = None) -> bytes:
    """The content of a regular file.

    Args:
        root: when given, the file must lie beneath this folder after all links are followed. The path found is
            then opened folder by folder without following links, so that a link put there meanwhile is not followed.

    Raises RefusedFile, or OSError from the system.
    """
    # Opening a FIFO for reading blocks until somebody writes; O_NONBLOCK returns at once and the check below refuses.
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
    descriptor = os.open(path, flags) if root is None else _open_beneath(root, path, flags)
    return _content(descriptor, max_bytes)


def _content(descriptor: int, max_bytes: int) -> bytes:
    """All of it; the descriptor is closed."""
    try:
        info = os.fstat(descriptor)
        if not stat.S_ISREG(info.st_mode):
            raise RefusedFile("not a regular file")
        if info.st_size > max_bytes:
            raise RefusedFile(f"{info.st_size:,} bytes; the limit is {max_bytes:,}")
        # As many bytes as there are, not as there may be: room for those would be made, and given back, each time.
        step, left, parts = max(info.st_size + 1, _LEAST_READ), max_bytes, list[bytes]()
        while left and (part := os.read(descriptor, min(step, left))):
            parts.append(part)
            left -= len(part)
        return b"".join(parts)
    finally:
        os.close(descriptor)


def resolve_beneath(root: Path, path: Path) -> Path:
    """`path` with all links followed, relative to `root` (itself free of links). Raises RefusedFile or OSError."""
    real = path.resolve(strict=True)
    if not real.is_relative_to(root):
        raise RefusedFile(f"a link to a place outside {root}")
    return real.relative_to(root)


def _open_beneath(root: Path, path: Path, flags: int) -> int:
    root = root.resolve(strict=True)
    *folders, name = resolve_beneath(root, path).parts or ("",)
    here = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for folder in folders:
            inner = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=here)
            os.close(here)
            here = inner
        return os.open(name, flags | os.O_NOFOLLOW, dir_fd=here)
    finally:
        os.close(here)
