"""Polling the workers of one attempt: their events, their end, and whether they still get on."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from learnfleet.server.domain import Json
from learnfleet.server.failpoints import fp
from learnfleet.server.scheduling.liveness import Liveness
from learnfleet.server.scheduling.patience import GivenUp, unless
from learnfleet.server.scheduling.stopping import StopRequests
from learnfleet.server.workers.protocol import (
    ErrorKind,
    GroupHandle,
    Phase,
    RunError,
    WorkerDied,
    WorkerEvent,
    WorkerStatus,
)

_POLL_S = 0.1
_FIRST_POLL_S = 0.02  # the first batch of a warm learner comes soon
_BLAME_TIMEOUT_S = 2.0

_T = TypeVar("_T")


class RunFailed(Exception):
    """The attempt has failed; its workers cannot go on."""

    def __init__(self, error: RunError) -> None:
        super().__init__(error.message)
        self.error = error


class LeftRunning(Exception):
    """The workers were left at work: another server takes them over."""


@dataclass
class Following:
    """Follows one attempt to its end.

    Args:
        append: takes new events of the ranks, before more are asked for.
        stopping: told once, before the workers are asked to stop.
        is_to_leave: whether the workers are to be left as they are.
        polled: told after every poll.
    """

    job_id: str
    group: GroupHandle
    stops: StopRequests
    liveness: Liveness
    append: Callable[[Sequence[WorkerEvent]], None]
    stopping: Callable[[], None]
    is_to_leave: Callable[[], bool]
    polled: Callable[[], None]
    told: tuple[int, ...]  # events of each rank that the store has
    _is_stopping: bool = False
    _failed_at_s: float | None = field(default=None, init=False)

    def to_end(self) -> Json:
        """The outcome. Raises RunFailed, LeftRunning, GivenUp for workers that do not stop in time, WorkerDied."""
        pause_s = _FIRST_POLL_S
        while True:
            statuses = self._poll()
            self._check(statuses)
            if all(status.phase is Phase.DONE for status in statuses):
                assert statuses[0].outcome is not None, "a run that is done has an outcome"
                return statuses[0].outcome
            if self.is_to_leave():
                raise LeftRunning
            if self.stops.is_asked() and not self._is_stopping:
                self._stop()
            if self.stops.is_late():
                raise GivenUp
            if not any(status.events for status in statuses):
                pause_s = min(pause_s * 1.5, _POLL_S)
            self.stops.wait(pause_s)

    def in_time(self, call: Callable[[], _T]) -> _T:
        """What workers say, who may hang just when they are asked to stop. Raises GivenUp."""
        return unless(self.stops.is_late, call)

    def _poll(self) -> tuple[WorkerStatus, ...]:
        statuses = self.in_time(lambda: self.group.poll(self.job_id, self.told))
        self.append([event for status in statuses for event in status.events])
        self.told = tuple(status.first_event + len(status.events) for status in statuses)
        self.liveness.note(statuses)
        self.polled()
        return statuses

    def _stop(self) -> None:
        self.stopping()
        self._is_stopping = True
        self.in_time(lambda: self.group.stop(self.job_id))
        fp("job.stop_asked")

    def _check(self, statuses: Sequence[WorkerStatus]) -> None:
        """Raises RunFailed for workers that have failed, once it is clear why, and for those that hang."""
        errors = [blamed(rank, s.error) for rank, s in enumerate(statuses) if s.phase is Phase.FAILED and s.error]
        if errors:
            now_s = time.monotonic()
            self._failed_at_s = self._failed_at_s or now_s
            if _tells_enough(errors, statuses) or now_s - self._failed_at_s > _BLAME_TIMEOUT_S:
                raise RunFailed(_worst(errors))
            return
        hangs_for_s = self.liveness.hangs_for_s
        if hangs_for_s is not None:
            raise RunFailed(RunError(ErrorKind.HANG, f"the workers have done nothing for {hangs_for_s:.0f} s"))


# Who knows best why a group has failed: all ranks fail when one does, most of them because they lost it.
_BLAME = (ErrorKind.USER, ErrorKind.STALE, ErrorKind.OUT_OF_MEMORY, ErrorKind.HANG)


def blamed(rank: int, error: RunError) -> RunError:
    """The error with the rank it happened on, where that says more than the error does."""
    if error.kind is ErrorKind.OUT_OF_MEMORY:
        return replace(error, message=f"out of memory on rank {rank}: {error.message}")
    return error


def _tells_enough(errors: Sequence[RunError], statuses: Sequence[WorkerStatus]) -> bool:
    """Whether it is clear why a group failed. The one to blame may be slower to say so than those that only lost it:
    who knows a reason of its own is waited for.
    """
    return any(error.kind in _BLAME for error in errors) or len(errors) == len(statuses)


def _worst(errors: Sequence[RunError]) -> RunError:
    return min(errors, key=lambda error: _BLAME.index(error.kind) if error.kind in _BLAME else len(_BLAME))


def died(error: WorkerDied) -> RunError:
    """A death as the run's error."""
    return RunError(error.kind, str(error))
