"""Reading a file that somebody else named: regular files only, of bounded size, and none outside its tree.

Imports neither torch nor Pillow.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path


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
    with os.fdopen(descriptor, "rb") as file:
        info = os.fstat(descriptor)
        if not stat.S_ISREG(info.st_mode):
            raise RefusedFile("not a regular file")
        if info.st_size > max_bytes:
            raise RefusedFile(f"{info.st_size:,} bytes; the limit is {max_bytes:,}")
        return file.read(max_bytes)


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
