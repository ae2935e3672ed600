"""Events in a file beside the job, so that those a dead worker had not handed over are not lost."""

from __future__ import annotations

import contextlib
import io
import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from threading import Lock

from learnfleet.server.workers.protocol import WorkerEvent

_log = logging.getLogger(__name__)


class Journal:
    """Appends one run's events, a JSON line each. Safe to use from several threads.

    A line reaches the operating system before `append` returns: it survives the process, not the machine. What a
    machine takes with it is told again by the attempt that follows.

    A full disk, or another one that cannot be written, costs a run nothing: lines stay in memory and are written in
    their order as soon as one of the next can be.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: io.FileIO | None = None
        self._unwritten = bytearray()  # may begin in the middle of a line: a disk fills up where it does
        self._is_closed = False
        self._lock = Lock()

    def append(self, event: WorkerEvent) -> None:
        line = json.dumps(asdict(event)).encode() + b"\n"
        with self._lock:
            had_room = not self._unwritten
            self._unwritten += line
            self._write(is_news=had_room)

    def _write(self, *, is_news: bool) -> None:
        if self._is_closed:
            return
        try:
            if self._file is None:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                self._file = self._path.open("ab", buffering=0)
            while self._unwritten:
                del self._unwritten[: self._file.write(self._unwritten)]
        except OSError as error:
            if is_news:
                _log.warning("%s cannot be written, events stay in memory: %s", self._path, error)
            self._close_file()  # another one may be opened where this one cannot be written any more

    def close(self) -> None:
        with self._lock:
            self._write(is_news=False)
            self._is_closed = True
            self._close_file()

    def _close_file(self) -> None:
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.close()
            self._file = None


def journal_path(job_dir: Path, attempt: int, rank: int) -> Path:
    return job_dir / f"events-{attempt}-{rank}.jsonl"


def unread_events(job_dir: Path, attempt: int, told: Sequence[int]) -> Iterator[WorkerEvent]:
    """What an attempt's ranks have noted after the first `told[rank]` events of each."""
    for rank, count in enumerate(told):
        path = journal_path(job_dir, attempt, rank)
        if path.exists():
            yield from read_journal(path, count)


def journals(job_dir: Path) -> list[tuple[int, Path]]:
    """(attempt, journal) of all ranks of all attempts, oldest attempt first."""
    found = [(int(path.stem.split("-")[1]), path) for path in job_dir.glob("events-*-*.jsonl")]
    return sorted(found)


def read_journal(path: Path, first: int = 0) -> Iterator[WorkerEvent]:
    """The events in a journal from number `first` of the run on. Ends at a line that was torn by the writer's death."""
    with path.open("rb") as file:
        for line in islice(file, first, None):
            try:
                yield WorkerEvent(**json.loads(line))
            except (ValueError, TypeError):
                _log.warning("%s ends in a torn line", path)
                return
