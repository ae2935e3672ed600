"""Waking those who watch jobs."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator


class EventHub:
    """Tells watchers that a job has new events. Holds no events: each watcher reads from its own place.

    So a slow watcher costs nothing but the place it remembers, and one that missed a wake-up loses nothing.
    """

    def __init__(self) -> None:
        self._changed: dict[str, asyncio.Event] = {}
        self._watchers: dict[str, int] = {}
        self.is_closed = False
        self.open = 0  # watchers of all jobs

    def notify(self, job_id: str) -> None:
        """Wake the watchers of a job. From the event loop's thread."""
        event = self._changed.get(job_id)
        if event is not None:
            event.set()
            self._changed[job_id] = asyncio.Event()

    def close(self) -> None:
        """Let all watchers go: the server is stopping. From the event loop's thread."""
        self.is_closed = True
        for event in self._changed.values():
            event.set()

    @contextlib.contextmanager
    def watching(self, job_id: str) -> Iterator[None]:
        """While somebody watches a job."""
        self._watchers[job_id] = self._watchers.get(job_id, 0) + 1
        self._changed.setdefault(job_id, asyncio.Event())
        self.open += 1
        try:
            yield
        finally:
            self.open -= 1
            self._watchers[job_id] -= 1
            if not self._watchers[job_id]:
                del self._watchers[job_id], self._changed[job_id]

    def watched(self) -> list[str]:
        """Jobs that somebody watches."""
        return list(self._watchers)

    def watchers(self, job_id: str) -> int:
        """How many watch a job."""
        return self._watchers.get(job_id, 0)

    def ticket(self, job_id: str) -> asyncio.Event:
        """Take it before reading the store and wait on it after: a notification in between is not lost."""
        return self._changed[job_id]
