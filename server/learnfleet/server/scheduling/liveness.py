"""Telling a run that gets on from one that hangs, by the beats that its workers count."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from learnfleet.server.workers.protocol import Phase, WorkerStatus

# Building, reading all of a data set's labels, compiling, a whole checkpoint: done without a beat in between.
_PATIENCE = 10.0


@dataclass
class _Rank:
    beats: int
    changed_s: float
    limit_s: float
    is_running: bool = True


class Liveness:
    """Watches the ranks of one attempt.

    Ranks wait for each other, so one that hangs is soon all that hang, and one that is slow lets others wait: the run
    hangs when every rank that is not done has had its time.

    Args:
        limit_s: how long a rank may take from beat to beat; ten times that where it says that its work is long.
    """

    def __init__(self, limit_s: float, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._limit_s, self._clock_s = limit_s, clock_s
        self._ranks: dict[int, _Rank] = {}

    def note(self, statuses: Sequence[WorkerStatus]) -> None:
        """What the ranks have just said."""
        now_s = self._clock_s()
        for rank, status in enumerate(statuses):
            known = self._ranks.setdefault(rank, _Rank(status.beats, now_s, self._limit_s))
            if status.beats != known.beats:
                known.beats, known.changed_s = status.beats, now_s
            known.limit_s = self._limit_s * (_PATIENCE if status.is_long else 1.0)
            known.is_running = status.phase is Phase.RUNNING

    @property
    def hangs_for_s(self) -> float | None:
        """How long nothing has got on, if that is too long; else None."""
        running = [rank for rank in self._ranks.values() if rank.is_running]
        if not running:
            return None
        now_s = self._clock_s()
        if any(now_s - rank.changed_s <= rank.limit_s for rank in running):
            return None
        return now_s - max(rank.changed_s for rank in running)
