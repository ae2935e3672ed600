"""How many streams a connection carries."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

from learnfleet.client.errors import ResourceExhaustedError

MOST = 900  # a server takes 1,000 calls a connection: some are left for those that only ask


class OpenStreams:
    """Counts those of one connection.

    gRPC would keep calls beyond what the server takes waiting without a word, `cancel` and `refresh` among them.
    """

    def __init__(self) -> None:
        self._lock, self._open = Lock(), 0

    @contextmanager
    def one(self) -> Iterator[None]:
        """While a stream is open. Raises ResourceExhaustedError."""
        with self._lock:
            if self._open >= MOST:
                raise ResourceExhaustedError(f"{MOST} streams are open on this connection; use a further Client")
            self._open += 1
        try:
            yield
        finally:
            with self._lock:
                self._open -= 1
