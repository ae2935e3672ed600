"""Why a run is to stop before its end, asked of its controller by whoever wants it."""

from __future__ import annotations

import time
from collections.abc import Callable
from enum import StrEnum
from threading import Condition

from learnfleet.server.domain import Job, JobState, Wanted


class Stop(StrEnum):
    """A reason to stop. What becomes of the job is decided by the first in this order that was asked for."""

    CANCEL = "cancel"
    DEADLINE = "deadline"
    PAUSE = "pause"
    PREEMPT = "preempt"
    SHUTDOWN = "shutdown"


_ORDER = tuple(Stop)

# How long workers have to finish their batch. Those that take longer are ended, and the job is left with its newest
# whole checkpoint. A pause gives them as long as they get on: nobody waits, and the very batch is worth having.
_GRACE_S = {
    Stop.CANCEL: 1.5,  # whoever cancels wants the slots, and is promised two seconds
    Stop.DEADLINE: 10.0,
    Stop.PREEMPT: 30.0,  # somebody waits, but with a job that may be in the middle of a long batch
    Stop.SHUTDOWN: 10.0,
}


class StopRequests:
    """What has been asked of one run. From any thread; there is no way back from a request."""

    def __init__(self, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._clock_s = clock_s
        self._changed = Condition()
        self._asked: dict[Stop, str] = {}
        self._stop_by_s: float | None = None

    def ask(self, stop: Stop, why: str = "", within_s: float | None = None) -> None:
        """Safe to repeat: the time that workers have begins with the first request.

        Args:
            why: the job's reason afterwards, where the kind of stop does not say enough.
            within_s: how long workers have. Default: as for all stops of the kind.
        """
        with self._changed:
            if stop in self._asked:
                return
            self._asked[stop] = why
            grace_s = _GRACE_S.get(stop) if within_s is None else within_s
            if grace_s is not None:
                limit_s = self._clock_s() + grace_s
                self._stop_by_s = limit_s if self._stop_by_s is None else min(self._stop_by_s, limit_s)
            self._changed.notify_all()

    def has(self, stop: Stop) -> bool:
        return stop in self._asked

    def why(self, stop: Stop) -> str:
        return self._asked.get(stop, "")

    @property
    def first(self) -> Stop | None:
        """What decides over the job. None: it is to go on."""
        return next((stop for stop in _ORDER if stop in self._asked), None)

    def is_asked(self) -> bool:
        """Whether the run is to stop at all."""
        return bool(self._asked)

    def is_late(self) -> bool:
        """Whether workers have had the time that they are given."""
        return self._stop_by_s is not None and self._clock_s() > self._stop_by_s

    def wait(self, timeout_s: float) -> bool:
        """Until something new is asked for, at most so long; whether it was."""
        with self._changed:
            before = len(self._asked)
            return self._changed.wait_for(lambda: len(self._asked) > before, timeout_s)


def stop_wanted(state: JobState, wanted: Wanted) -> Stop | None:
    """What was asked of a job, by any server, that it has not done."""
    if wanted is Wanted.CANCEL or state is JobState.CANCELLING:
        return Stop.CANCEL
    if (wanted is Wanted.PAUSE or state is JobState.PAUSING) and state is not JobState.PAUSED:
        return Stop.PAUSE
    return None


def heed_wanted(job: Job, stops: StopRequests) -> None:
    """Ask a run for what was asked of its job before it began."""
    stop = stop_wanted(job.state, job.wanted)
    if stop is not None:
        stops.ask(stop)
