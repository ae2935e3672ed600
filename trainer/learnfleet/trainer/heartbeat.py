"""A count of what this process has got done, for whoever watches from outside whether it hangs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock


class Heartbeat:
    """Moves as long as something gets on. From any thread: a beat that is lost in a race with another is no loss."""

    def __init__(self) -> None:
        self.count = 0
        self._long_works = 0
        self._lock = Lock()

    def beat(self) -> None:
        self.count += 1

    @contextmanager
    def long_work(self) -> Iterator[None]:
        """Inside, work is done that may take long without a beat."""
        with self._lock:
            self._long_works += 1
        try:
            yield
        finally:
            with self._lock:
                self._long_works -= 1
            self.beat()

    @property
    def is_long(self) -> bool:
        """Whether such work is being done."""
        return self._long_works > 0


HEARTBEAT = Heartbeat()  # of this process
