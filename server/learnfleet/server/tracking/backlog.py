"""Which jobs still have something for MLflow, and when each may be tried."""

from __future__ import annotations

from collections.abc import Iterable

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 600.0


class Backlog:
    """Jobs with a try and a backoff of their own. Times are of any monotonic clock, in seconds."""

    def __init__(self) -> None:
        self._not_before_s: dict[str, float] = {}
        self._pause_s: dict[str, float] = {}
        self._since_s: dict[str, float] = {}  # that there is something to send

    def __len__(self) -> int:
        return len(self._not_before_s)

    def add(self, job_ids: Iterable[str], now_s: float = 0.0) -> None:
        """A job that waits after a failure goes on waiting."""
        for job_id in job_ids:
            self._not_before_s.setdefault(job_id, 0.0)
            self._since_s.setdefault(job_id, now_s)

    def oldest_s(self) -> float | None:
        """Since when the job waits that waits for longest; None if none does."""
        return min(self._since_s.values(), default=None)

    def due(self, now_s: float) -> list[str]:
        """Jobs whose turn it is, in the order in which they came."""
        return [job_id for job_id, not_before_s in self._not_before_s.items() if not_before_s <= now_s]

    def wait_s(self, now_s: float) -> float:
        """Until the next one is due; infinite if there is none."""
        return min((max(at_s - now_s, 0.0) for at_s in self._not_before_s.values()), default=float("inf"))

    def done(self, job_id: str) -> None:
        self._not_before_s.pop(job_id, None)
        self._pause_s.pop(job_id, None)
        self._since_s.pop(job_id, None)

    def succeeded(self, job_id: str) -> None:
        """A part is done, and the next may be tried at once."""
        self._pause_s.pop(job_id, None)
        self._not_before_s[job_id] = 0.0

    def later(self, job_id: str, at_s: float) -> None:
        """All is well, and there is more to do at that time."""
        self._pause_s.pop(job_id, None)
        self._not_before_s[job_id] = self._since_s[job_id] = at_s

    def failed(self, job_id: str, now_s: float) -> float:
        """The pause before the job is tried again: twice the one before."""
        pause_s = min(self._pause_s.get(job_id, FIRST_PAUSE_S / 2) * 2, LONGEST_PAUSE_S)
        self._pause_s[job_id] = pause_s
        self._not_before_s[job_id] = now_s + pause_s
        return pause_s
