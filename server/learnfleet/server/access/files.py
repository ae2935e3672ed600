"""A file that is read again when it has changed; what cannot be read leaves what was read before in force."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Generic, TypeVar

_T = TypeVar("_T")
_LOOK_EVERY_S = 1.0

_log = logging.getLogger(__name__)

_Stamp = tuple[tuple[int, int, int], ...]


class Unreadable(ValueError):
    """Files that a server cannot begin with."""


class Watched(Generic[_T]):
    """What some files say together. From any thread."""

    def __init__(
        self,
        paths: Sequence[Path],
        read: Callable[[], _T],
        look_every_s: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Reads them; `read` raises ValueError or OSError for what is wrong. Raises Unreadable."""
        self._paths, self._read, self._clock = tuple(paths), read, clock
        self._look_every_s = _LOOK_EVERY_S if look_every_s is None else look_every_s
        self._lock = threading.Lock()
        try:
            self._stamp, self._value = self._now(), read()
        except OSError as error:
            raise Unreadable(f"{error.filename or self._shown()} cannot be read: {error.strerror}") from error
        except ValueError as error:
            raise Unreadable(str(error)) from error
        self._looked = clock()

    def current(self) -> _T:
        """What they say now, looked at again after a while."""
        with self._lock:
            if self._clock() - self._looked >= self._look_every_s:
                self._looked = self._clock()
                self._look()
            return self._value

    def _look(self) -> None:
        try:
            stamp = self._now()
            if stamp == self._stamp:
                return
            # Also one that cannot be read is remembered: it is told of once, and read again when it changes again.
            self._stamp = stamp
            self._value = self._read()
        except (OSError, ValueError) as error:
            _log.error("%s: what was read before stays in force: %s", self._shown(), error)
        else:
            _log.info("%s has changed and was read again", self._shown())

    def _now(self) -> _Stamp:
        """Taken before reading: what changes meanwhile is seen the next time."""
        found = [path.stat() for path in self._paths]
        return tuple((one.st_mtime_ns, one.st_size, one.st_ino) for one in found)

    def _shown(self) -> str:
        return ", ".join(str(path) for path in self._paths)
