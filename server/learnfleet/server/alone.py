"""One server in a data directory, and nobody else at its store."""

from __future__ import annotations

import contextlib
import fcntl
from collections.abc import Iterator
from pathlib import Path


class DataDirInUse(RuntimeError):
    """Another server works in the data directory."""


@contextlib.contextmanager
def alone_in(data_dir: Path) -> Iterator[None]:
    """While nobody else is. Raises DataDirInUse."""
    with (data_dir / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DataDirInUse(f"another server works in {data_dir}; stop it, or choose another --data-dir") from None
        yield


def is_in_use(data_dir: Path) -> bool:
    """Whether a server that is alone in it works there. Makes nothing."""
    try:
        with (data_dir / "lock").open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        pass
    return False
