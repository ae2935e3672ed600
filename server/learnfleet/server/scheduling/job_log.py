"""A job's log: what its workers have written, each rank to a file of its own, as one file in the order it came in.

The order never changes, so a line's number is its place for ever: a reader who was interrupted goes on after it.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import time
from collections.abc import Iterator
from pathlib import Path

from learnfleet.server.domain import Json
from learnfleet.server.redact import redacted
from learnfleet.server.workers.rank_log import rank_log_path, rank_logs
from learnfleet.server.workers.stacks import crash_path

LOG_FILE = "log.jsonl"
SERVER_RANK = -1  # in place of a rank, of what the server says
_COLLECT_EVERY_S = 0.5
_MOST_STACKS = 16_000  # characters

_log = logging.getLogger(__name__)


class JobLog:
    """Gathers the lines of one job. Used by one controller at a time; costs the job nothing that it cannot do."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._path = folder, folder / LOG_FILE
        self._places: dict[tuple[int, int], int] = {}  # bytes gathered, by attempt and rank
        self._collected_s = 0.0
        with contextlib.suppress(OSError):
            self._find_places()

    def _find_places(self) -> None:
        """Go on where a server before this one was: after as many lines of a rank as are there already."""
        counts: dict[tuple[int, int], int] = {}
        for entry in LogReader(self._path).next():
            key = entry["attempt"], entry["rank"]
            counts[key] = counts.get(key, 0) + 1
        for key, path in rank_logs(self._folder).items():
            with path.open("rb") as file:
                for _ in range(counts.get(key, 0)):
                    file.readline()
                self._places[key] = file.tell()

    def collect(self, attempt: int, world_size: int, *, at_once: bool = False) -> bool:
        """Gather what is new of an attempt's ranks, at most twice a second; whether there was anything."""
        now_s = time.monotonic()
        if not at_once and now_s - self._collected_s < _COLLECT_EVERY_S:
            return False
        self._collected_s = now_s
        keys = [(attempt, rank) for rank in range(world_size)]
        return self._append([entry for key in keys for entry in self._new_lines(*key)])

    def collect_all(self) -> bool:
        """Gather what no server has gathered of any attempt."""
        return self._append([entry for key in rank_logs(self._folder) for entry in self._new_lines(*key)])

    def say(self, attempt: int, severity: str, message: str) -> None:
        """Add a line of the server's own."""
        entry = {
            "time_s": time.time(),
            "severity": severity,
            "logger": "learnfleet.server",
            "message": redacted(message),
        }
        self._append([{**entry, "attempt": attempt, "rank": SERVER_RANK}])

    def say_crashes(self, attempt: int, world_size: int) -> None:
        """Add where the ranks stood that faults of native code have ended."""
        for rank in range(world_size):
            try:
                stacks = crash_path(self._folder, attempt, rank).read_text(errors="replace")
            except OSError:
                continue
            if stacks:
                self.say(attempt, "error", f"rank {rank} was ended by a fault of native code:\n{stacks[:_MOST_STACKS]}")

    def _new_lines(self, attempt: int, rank: int) -> Iterator[Json]:
        path, place = rank_log_path(self._folder, attempt, rank), self._places.get((attempt, rank), 0)
        try:
            if path.stat().st_size <= place:
                return
            with path.open("rb") as file:
                file.seek(place)
                content = file.read()
        except OSError:
            return
        whole = content[: content.rfind(b"\n") + 1]  # the last line may still be in the making
        self._places[attempt, rank] = place + len(whole)
        for line in whole.splitlines():
            with contextlib.suppress(ValueError):
                yield {**json.loads(line), "attempt": attempt, "rank": rank}

    def _append(self, entries: list[Json]) -> bool:
        if not entries:
            return False
        entries.sort(key=lambda entry: entry["time_s"])
        lines = b"".join(json.dumps(entry).encode() + b"\n" for entry in entries)
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
            try:
                os.write(descriptor, lines)
            finally:
                os.close(descriptor)
        except OSError as error:
            _log.warning("%s was not written: %s", self._path, error)
            return False
        return True


class LogReader:
    """Reads the log's lines after number `after_line`, some at a time, and those that have come since."""

    def __init__(self, path: Path, after_line: int = 0) -> None:
        self._path, self._to_skip = path, after_line
        self._line = self._place = 0  # read or skipped so far: lines, bytes

    def next(self, most: int | None = None) -> list[Json]:
        """The next lines, each with its number as `line`. Those that a full disk has torn are left out."""
        entries: list[Json] = []
        try:
            file = self._path.open("rb")
        except FileNotFoundError:
            return entries
        with file:
            file.seek(self._place)
            for content in file:
                if not content.endswith(b"\n") or len(entries) == most:
                    break
                self._line, self._place = self._line + 1, self._place + len(content)
                if self._line > self._to_skip:
                    with contextlib.suppress(ValueError):
                        entries.append({**json.loads(content), "line": self._line})
        return entries
