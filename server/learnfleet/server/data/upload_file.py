"""The bytes of an upload that are there so far."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from pathlib import Path

from learnfleet.server.data.errors import NoRoom

_STEP_BYTES = 2**20
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class UploadFile:
    """A file that one connection writes to.

    Bytes go to their places, so that two connections that send the same upload do each other no harm.
    """

    def __init__(self, path: Path) -> None:
        """Raises NoRoom, OSError."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise no_room_or_same(error) from error

    def write(self, offset: int, content: bytes) -> None:
        """All of it. Raises NoRoom, OSError."""
        left = memoryview(content)
        while left:
            try:
                written = os.pwrite(self._descriptor, left, offset)
            except OSError as error:
                raise no_room_or_same(error) from error
            left, offset = left[written:], offset + written

    def flush(self) -> None:
        """Until it is on the disk. Raises NoRoom, OSError."""
        try:
            os.fdatasync(self._descriptor)
        except OSError as error:
            raise no_room_or_same(error) from error

    def close(self) -> None:
        os.close(self._descriptor)


def sha256_of(path: Path) -> str:
    """Of a whole file. Blocks."""
    digest = hashlib.sha256()
    with path.open("rb", buffering=0) as file:
        while part := file.read(_STEP_BYTES):
            digest.update(part)
    return digest.hexdigest()


def check_room(folder: Path, wanted_bytes: int) -> None:
    """Raises NoRoom where the disk that `folder` is on has less than that."""
    existing = next(place for place in (folder, *folder.parents) if place.exists())
    free = shutil.disk_usage(existing).free
    if free < wanted_bytes:
        raise NoRoom(f"the server's disk has {free:,} bytes left, and {wanted_bytes:,} are to come")


def no_room_or_same(error: OSError) -> Exception:
    """NoRoom where the disk is full, else the error itself."""
    return NoRoom(f"the server's disk is full: {error.strerror}") if error.errno in _FULL else error
