"""Which of the servers on one store schedules: the one that has the lease."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from threading import Event, Lock, Thread
from typing import Protocol

from learnfleet.server.errors import StoreUnavailable
from learnfleet.server.store.base import Store
from learnfleet.server.store.lease import SCHEDULER, Lease

_BEATS_A_LEASE = 4

_log = logging.getLogger(__name__)


class Candidate(Protocol):
    """What is told of the lease, in the thread that renews it: none of this may take longer than a beat."""

    def lead(self, lease: Lease) -> None:
        """It is this server that schedules, from now on."""

    def step_down(self) -> None:
        """It may be another one from now on: the lease was taken, or could not be renewed in time."""

    def overtaken(self) -> None:
        """After step_down: another one does schedule."""

    def finish(self) -> None:
        """This server stops: bring to an end in order what it leads. In the thread that calls `Leadership.stop`."""


class Leadership:
    """Waits for the lease and holds it.

    No two clocks are compared. The holder moves the beat on; who waits takes the lease when the beat has stood still
    for `lease_s` of its own clock, and the holder steps down when it has not been able to move it for as long. A
    holder that was stopped meanwhile, and does not know, is fenced: the store refuses what it writes in its old term.
    """

    def __init__(
        self,
        store: Store,
        candidate: Candidate,
        holder: str,
        lease_s: float,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store, self._candidate, self._holder = store, candidate, holder
        self._lease_s, self._clock_s = lease_s, clock_s
        self._held: Lease | None = None
        self._valid_until_s = 0.0
        self._watched: Lease | None = None  # somebody else's, as it was when its beat was seen to move
        self._watched_since_s = 0.0
        self._has_led = False  # and nobody else since
        self._is_away = False
        self._step_lock = Lock()
        self._resigning, self._stopping = Event(), Event()
        self._thread = Thread(target=self._run, name="leadership", daemon=True)

    @property
    def is_leading(self) -> bool:
        return self._held is not None

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Finish under the lease, and give it back, so that others need not wait for it to run out."""
        self._resigning.set()
        with self._step_lock:
            pass  # a step that had begun may have taken the lease
        self._candidate.finish()
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()
        held, self._held = self._held, None
        if held is not None:
            try:
                self._store.give_back_lease(held)
            except StoreUnavailable as error:
                _log.warning("the lease was not given back, others wait until it has run out: %s", error)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self.step()
            except Exception:
                _log.exception("the lease was not looked at; it is tried again")
            self._stopping.wait(self._lease_s / _BEATS_A_LEASE)

    def step(self) -> None:
        """One look at the lease, and what follows from it."""
        with self._step_lock:
            self._step(self._clock_s())

    def _step(self, began_s: float) -> None:
        try:
            if self._held is not None:
                self._renew(self._held, began_s)
            elif not self._resigning.is_set():
                self._wait_for_it(began_s)
            self._is_away = False
        except StoreUnavailable as error:
            if not self._is_away:
                _log.warning("the lease was not looked at; it is tried again: %s", error)
            self._is_away = True
            # Not after a renewal that took long: the store has said that nobody else had the lease.
            if self._held is not None and self._clock_s() >= self._valid_until_s:
                self._lose("it could not be renewed in time")

    def _renew(self, held: Lease, began_s: float) -> None:
        if self._store.renew_lease(held):
            self._valid_until_s = began_s + self._lease_s
        else:
            self._lose("another server has taken it")

    def _lose(self, why: str) -> None:
        _log.warning("this server schedules no longer: the lease is lost, as %s", why)
        self._held = None
        self._candidate.step_down()

    def _wait_for_it(self, began_s: float) -> None:
        lease = self._store.get_lease(SCHEDULER)
        if lease is None or lease.holder in (None, self._holder):
            self._take(lease, began_s)
            return
        if self._has_led:
            self._has_led = False
            self._candidate.overtaken()
        now_s = self._clock_s()
        if self._watched is None or (self._watched.term, self._watched.beat) != (lease.term, lease.beat):
            self._watched, self._watched_since_s = lease, now_s
        elif now_s - self._watched_since_s >= self._lease_s:
            _log.warning("server %s has not shown for %.1f s", lease.holder, now_s - self._watched_since_s)
            self._take(lease, began_s)

    def _take(self, seen: Lease | None, began_s: float) -> None:
        taken = self._store.take_lease(SCHEDULER, self._holder, seen)
        if taken is None:  # somebody was faster
            return
        _log.info("this server schedules from now on, in term %d", taken.term)
        self._candidate.lead(taken)
        self._held, self._watched, self._has_led = taken, None, True
        self._valid_until_s = began_s + self._lease_s
