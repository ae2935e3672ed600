"""The audit log: who has asked for which change, and what came of it. JSON lines that are only ever added to.

What is promised: a line is with the operating system before its caller is answered, so that it survives the server;
and it is on the disk (fsync) within a second, so that the machine takes at most that with it. A line that cannot be
written does not undo what was done: it is counted, told in the server's log, and an alert is there for it.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from threading import Event, Thread

from learnfleet.server.redact import redacted
from learnfleet.server.text import utf8

STDERR = "-"
_SYNC_EVERY_S = 1.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Entry:
    """One call that was to change something. Nothing of what it carried but the names of resources."""

    method: str  # learnfleet.v1.TrainingService/Train
    code: str  # what the caller was told: OK, NOT_FOUND, PERMISSION_DENIED, ...
    peer: str
    tenant: str
    subject: str  # who: of the token or certificate; empty where there is no authentication
    role: str
    request_id: str
    resources: tuple[str, ...]
    duration_s: float
    trace_id: str = ""

    def to_json(self, at: datetime, server_id: str) -> dict[str, object]:
        return {
            "time": at.isoformat(timespec="microseconds"),
            "event": "audit",
            "method": self.method,
            "code": self.code,
            "subject": redacted(utf8(self.subject)),
            "role": self.role,
            "tenant": self.tenant,
            "resources": list(self.resources),
            "request_id": self.request_id,
            "peer": self.peer,
            "duration_s": round(self.duration_s, 6),
            "trace_id": self.trace_id,
            "server": server_id,
        }


class AuditLog:
    """Writes to a file, to standard error (`-`), or nowhere. The event loop never waits for a disk.

    Raises OSError if the file cannot be opened: a server that is to keep an audit log and cannot must not start.
    """

    def __init__(self, place: str, server_id: str = "", failed: Callable[[], None] = lambda: None) -> None:
        self._server_id, self._failed = server_id, failed
        self._descriptor: int | None = None
        self._is_file = bool(place) and place != STDERR
        if self._is_file:
            path = Path(place)
            path.parent.mkdir(parents=True, exist_ok=True)
            # For its owner alone, and at its end alone: nothing that is there is ever written over.
            self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        elif place == STDERR:
            self._descriptor = sys.stderr.fileno()
        self._writing = ThreadPoolExecutor(1, thread_name_prefix="audit")  # one: lines are in the order of their ends
        self._dirty, self._closing = Event(), Event()
        self._syncing = Thread(target=self._sync_now_and_then, name="audit-sync", daemon=True)
        if self._is_file:
            self._syncing.start()

    @property
    def is_on(self) -> bool:
        return self._descriptor is not None

    async def write(self, entry: Entry) -> None:
        """Until the line is with the operating system. Never raises for what went wrong with it."""
        future = self._submit(entry)
        if future is not None:
            await asyncio.wrap_future(future)

    def submit(self, entry: Entry) -> None:
        """Without waiting: of a call whose caller has gone."""
        self._submit(entry)

    def close(self) -> None:
        """Write and sync what there is."""
        self._writing.shutdown(wait=True)
        self._closing.set()
        self._dirty.set()
        if self._syncing.is_alive():
            self._syncing.join()
        if self._is_file and self._descriptor is not None:
            os.close(self._descriptor)
        self._descriptor = None

    def _submit(self, entry: Entry) -> Future[None] | None:
        line = entry.to_json(datetime.now(UTC), self._server_id)
        try:
            return self._writing.submit(self._write, line)
        except RuntimeError as error:  # it is closed: the server has stopped, and a call of it has not
            self._lost(line, error)
            return None

    def _write(self, line: Mapping[str, object]) -> None:
        try:
            assert self._descriptor is not None
            content = json.dumps(line).encode() + b"\n"
            while content:  # in one piece, unless a disk fills up in the middle of it
                content = content[os.write(self._descriptor, content) :]
            self._dirty.set()
        except Exception as error:
            self._lost(line, error)

    def _lost(self, line: Mapping[str, object], error: Exception) -> None:
        self._failed()
        told = "the audit log lacks a line, %s %s by '%s' of tenant %s: %s"
        _log.error(told, line["method"], line["code"], line["subject"], line["tenant"], error)

    def _sync_now_and_then(self) -> None:
        while True:
            self._dirty.wait()
            is_last = self._closing.is_set()
            self._dirty.clear()
            try:
                assert self._descriptor is not None
                os.fsync(self._descriptor)
            except OSError as error:
                self._failed()
                _log.error("the audit log was not synced: %s", error)
            if is_last:
                return
            self._closing.wait(_SYNC_EVERY_S)
