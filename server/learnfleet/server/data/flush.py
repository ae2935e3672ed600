"""Making what was written survive the machine."""

from __future__ import annotations

import ctypes
import errno
import os
from pathlib import Path


def flush_tree(folder: Path) -> None:
    """Until all files below `folder`, and the folder itself, are on the disk.

    The whole file system at once where the system can (Linux): a call for each of 100,000 small files would take
    minutes. Raises OSError.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        if not _flush_file_system(descriptor):
            _flush_each(folder)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def flush_folder(folder: Path) -> None:
    """Until the entries of one folder are on the disk: what was renamed into it stays there."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _flush_file_system(descriptor: int) -> bool:
    call = getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None)
    if call is None:
        return False
    if call(descriptor) != 0:
        number = ctypes.get_errno()
        if number == errno.ENOSYS:
            return False
        raise OSError(number, os.strerror(number))
    return True


def _flush_each(folder: Path) -> None:
    for inner, _, files in os.walk(folder):
        for name in files:
            descriptor = os.open(Path(inner) / name, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        flush_folder(Path(inner))
