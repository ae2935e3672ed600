"""One server in a data directory and at an SQLite store, and nobody else there."""

from __future__ import annotations

import contextlib
import fcntl
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import make_url

from learnfleet.server.config import Config


class InUse(RuntimeError):
    """Another server works in the data directory, or on the store."""


@contextlib.contextmanager
def alone_at(config: Config) -> Iterator[None]:
    """While nobody else is in the data directory, nor at the store, which may lie elsewhere.

    Raises InUse, RuntimeError where there can be no lock.
    """
    store = sqlite_file(config.store_url)
    with _held(lock_in(config.data_dir), f"in {config.data_dir}; stop it, or choose another --data-dir"):
        if store is None:
            yield
            return
        with _held(lock_beside(store), f"on {store}; stop it, or choose another --store"):
            yield


@contextlib.contextmanager
def _held(lock: Path, where: str) -> Iterator[None]:
    try:
        file = lock.open("w")
    except OSError as error:
        raise RuntimeError(f"{lock}, which keeps others away, cannot be made: {error.strerror}") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InUse(f"another server works {where}") from None
        yield


def is_held(lock: Path) -> bool:
    """Whether a server that is alone there works now. Makes nothing."""
    try:
        with lock.open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        pass
    return False


def lock_in(data_dir: Path) -> Path:
    return data_dir / "lock"


def lock_beside(store: Path) -> Path:
    """By whatever path the store is reached."""
    file = store.resolve()
    return file.with_name(f"{file.name}.lock")


def sqlite_file(url: str) -> Path | None:
    """None for a database in memory, or on a server."""
    read = make_url(url)
    name = (read.database or "").removeprefix("file:")
    return Path(name) if read.get_backend_name() == "sqlite" and name not in ("", ":memory:") else None
