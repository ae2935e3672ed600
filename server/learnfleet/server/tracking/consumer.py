"""A thread that takes the news of jobs somewhere else, and in which no job waits for another."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from threading import Event, Lock, Thread

from learnfleet.server.errors import NotFound
from learnfleet.server.store.base import Store
from learnfleet.server.telemetry.server_metrics import Behind
from learnfleet.server.tracking.backlog import FIRST_PAUSE_S, Backlog

_EVERY_JOB = 1_000_000
SCAN_S = 60.0  # a look at all jobs, for what nobody told of
_GATHER_S = 0.5  # a batch of events, not each by itself
_OUTAGE_S = 5.0

_log = logging.getLogger(__name__)


class _Stop:
    """Asks one thread to end."""

    def __init__(self) -> None:
        self.requested, self.drains = Event(), True

    @property
    def at_once(self) -> bool:
        return self.requested.is_set() and not self.drains


class Consumer:
    """Calls `export` with the id of each job that has events after this consumer's cursor, until all is exported.

    `export` moves the cursor itself, may be repeated, and returns the seconds until there is more to do for the job:
    0 at once, but after the other jobs; None when there is no more. When it raises, `ask` is called, which raises if
    nobody can be reached: then all jobs wait. Else the job is tried again by itself, at longer and longer intervals.
    The store is asked which jobs are behind at the beginning and every `scan_s`; `wake` tells of one sooner.
    """

    def __init__(
        self,
        name: str,
        store: Store,
        export: Callable[[str], float | None],
        ask: Callable[[], object],
        clock_s: Callable[[], float] = time.monotonic,
        begin: Callable[[], None] = lambda: None,
        scan_s: float = SCAN_S,
    ) -> None:
        self.name, self._scan_s = name, scan_s
        self._store, self._export, self._ask, self._clock_s, self._begin = store, export, ask, clock_s, begin
        self._backlog = Backlog()
        self._told, self._told_lock = set[str](), Lock()
        self._next_scan_s = self._next_try_s = 0.0
        self._is_away = False
        self._seen: tuple[int, float | None] = (0, None)  # of the backlog, for other threads
        self._changed = Event()
        self._stop: _Stop | None = None
        self._thread: Thread | None = None

    def start(self) -> None:
        """Begin, with `begin`, in a new thread; after a stop again, when the thread before is done."""
        self._stop = _Stop()
        self._thread = Thread(
            target=self._run, args=(self._stop, self._thread), name=f"{self.name}-exporter", daemon=True
        )
        self._thread.start()

    def wake(self, job_id: str) -> None:
        """The job may have news. From any thread."""
        with self._told_lock:
            self._told.add(job_id)
        self._changed.set()

    def stop(self, timeout_s: float, *, drain: bool = True) -> None:
        """End the thread, and wait for it for a while. With `drain` it first exports what there is."""
        if self._stop is not None and self._thread is not None:
            self._stop.drains = drain
            self._stop.requested.set()
            self._changed.set()
            self._thread.join(timeout_s)

    def _run(self, stop: _Stop, before: Thread | None) -> None:
        if before is not None:
            before.join()
        self._begin()
        self._next_scan_s = self._next_try_s = 0.0
        while not stop.at_once:
            is_last = stop.requested.is_set()
            self._changed.clear()
            pause_s = self._step_safely(stop, is_last=is_last)
            if is_last:
                return
            if not stop.requested.is_set():
                self._changed.wait(min(pause_s, SCAN_S))
            stop.requested.wait(_GATHER_S)

    def _step_safely(self, stop: _Stop, *, is_last: bool) -> float:
        try:
            return self.step(stop, is_last=is_last)
        except Exception:
            _log.warning("MLflow is not brought up to date; trying again in %.0f s", _OUTAGE_S, exc_info=True)
            return _OUTAGE_S

    def step(self, stop: _Stop | None = None, *, is_last: bool = False) -> float:
        """Export all that is due (at the last step: all there is); the seconds until more is. Safe to repeat."""
        now_s = self._clock_s()
        self._find_work(now_s, everything=is_last)
        if now_s >= self._next_try_s or is_last:
            self._export_due(math.inf if is_last else now_s, stop or _Stop())
        now_s = self._clock_s()
        return max(min(self._backlog.wait_s(now_s), self._next_scan_s - now_s), self._next_try_s - now_s, 0.0)

    def _find_work(self, now_s: float, *, everything: bool) -> None:
        with self._told_lock:
            told, self._told = self._told, set()
        self._backlog.add(sorted(told), now_s)
        if now_s >= self._next_scan_s or (everything and self._scan_s < math.inf):
            self._backlog.add(self._store.jobs_behind(self.name, _EVERY_JOB), now_s)
            self._next_scan_s = now_s + self._scan_s
        self._note()

    def _note(self) -> None:
        self._seen = len(self._backlog), self._backlog.oldest_s()

    def behind(self) -> Behind:
        """How far it is behind. From any thread."""
        jobs, since_s = self._seen
        return Behind(jobs, 0.0 if since_s is None else max(0.0, self._clock_s() - since_s), self._is_away)

    def _export_due(self, until_s: float, stop: _Stop) -> None:
        """A page of each job in turn, so that a long log does not keep the others back."""
        waiting = self._backlog.due(until_s)
        while waiting:
            again = []
            for job_id in waiting:
                if stop.at_once:
                    return
                try:
                    pause_s = self._export_one(job_id)
                except Exception as error:
                    if stop.at_once or self._has_gone():
                        return
                    self._put_off(job_id, error)
                    continue
                if pause_s == 0:
                    self._backlog.succeeded(job_id)
                    again.append(job_id)
                elif pause_s is None:
                    self._backlog.done(job_id)
                else:
                    self._backlog.later(job_id, self._clock_s() + pause_s)
                self._note()
            waiting = again

    def _export_one(self, job_id: str) -> float | None:
        try:
            return self._export(job_id)
        except NotFound:
            _log.info("jobs/%s was deleted; what %s has of it stays as it is", job_id, self.name)
            return None

    def _put_off(self, job_id: str, error: Exception) -> None:
        pause_s = self._backlog.failed(job_id, self._clock_s())
        is_first = pause_s == FIRST_PAUSE_S
        told = "jobs/%s: MLflow did not take what %s has of it; trying again in %.1f s: %s"
        _log.warning(told, job_id, self.name, pause_s, error, exc_info=is_first)

    def _has_gone(self) -> bool:
        """Whether nobody is answered: then nothing is said against the job."""
        try:
            self._ask()
        except Exception as error:
            self._next_try_s = self._clock_s() + _OUTAGE_S
            if not self._is_away:
                _log.warning("MLflow cannot be reached; %d jobs wait for it: %s", len(self._backlog), error)
            self._is_away = True
        else:
            self._is_away = False
        return self._is_away
