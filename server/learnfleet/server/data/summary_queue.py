"""Summaries are made one after the other, each in a process of its own."""

from __future__ import annotations

import itertools
import json
import logging
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from threading import Event, Lock, Thread

from learnfleet.server.domain import Json
from learnfleet.server.errors import StoreUnavailable
from learnfleet.server.text import shortened, utf8_json

_MAX_REASON_BYTES = 1000
_PAUSES_S = (0.5, 1.0, 2.0, 4.0, 8.0)  # between tries to keep a summary

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SummaryOrder:
    """A version that is to be looked at."""

    dataset_id: str
    version: int
    folder: Path
    manifest: Path


# Takes the summary, or None and why there is none.
Keep = Callable[[SummaryOrder, Json | None, str], None]


class SummaryQueue:
    """Looks at versions in a background thread and hands on what it finds."""

    def __init__(self, keep: Keep) -> None:
        self._keep = keep
        self._orders: SimpleQueue[SummaryOrder | None] = SimpleQueue()
        self._lock = Lock()
        self._waiting: set[SummaryOrder] = set()
        self._process: subprocess.Popen[bytes] | None = None
        self._closed, self._ending = False, Event()
        # A daemon: the server does not wait for it when it ends, but ends the process instead.
        self._first: Callable[[], list[SummaryOrder]] = list
        self._thread = Thread(target=self._work, name="summaries", daemon=True)

    def start(self, left_over: Callable[[], list[SummaryOrder]]) -> None:
        """`left_over`, asked in the thread: what is to be done first."""
        self._first = left_over
        self._thread.start()

    def put(self, order: SummaryOrder) -> None:
        """Unless it waits already: a version may be registered again while it does."""
        with self._lock:
            if order in self._waiting:
                return
            self._waiting.add(order)
        self._orders.put(order)

    def close(self) -> None:
        """End the present one; it is made anew when the server is started again."""
        self._ending.set()
        with self._lock:
            self._closed = True
            if self._process is not None:
                self._process.kill()
        self._orders.put(None)

    def _work(self) -> None:
        try:
            for first in self._first():
                self.put(first)
        except Exception:
            _log.exception("summaries that were begun by an earlier server could not be found")
        while (order := self._orders.get()) is not None:
            with self._lock:
                self._waiting.discard(order)
            summary, reason = self._summary(order)
            if self._closed:
                return
            self._keep_at_last(order, summary, reason)

    def _keep_at_last(self, order: SummaryOrder, summary: Json | None, reason: str) -> None:
        """Again where it cannot be written: a version that stays PENDING is waited for until the server ends."""
        pauses_s = itertools.chain(_PAUSES_S, itertools.repeat(_PAUSES_S[-1]))
        for tried, pause_s in enumerate(pauses_s, 1):
            try:
                self._keep(order, summary, reason)
                return
            except Exception as error:
                _log.exception("the summary of datasets/%s could not be kept", order.dataset_id)
                if tried > len(_PAUSES_S) and not isinstance(error, StoreUnavailable):
                    return  # it is about this one, and others wait
            if self._ending.wait(pause_s):
                return

    def _summary(self, order: SummaryOrder) -> tuple[Json | None, str]:
        command = [sys.executable, "-m", "learnfleet.server.data.summary", str(order.folder), str(order.manifest)]
        with self._lock:
            if self._closed:
                return None, ""
            self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            process = self._process
        out, errors = process.communicate()
        with self._lock:
            self._process = None
        if process.returncode == 0:
            return utf8_json(json.loads(out)), ""
        lines = errors.decode(errors="replace").strip().splitlines()
        why = lines[-1] if lines else f"the process that looked at the pictures ended with {process.returncode}"
        return None, shortened(why, _MAX_REASON_BYTES)
