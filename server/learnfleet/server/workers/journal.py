"""Events in a file beside the job, so that those a dead worker had not handed over are not lost."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from threading import Lock

from learnfleet.server.workers.protocol import WorkerEvent

_log = logging.getLogger(__name__)


class Journal:
    """Appends one run's events, a JSON line each. Safe to use from several threads.

    A line reaches the operating system before `append` returns: it survives the process, not the machine. What a
    machine takes with it is told again by the attempt that follows.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("ab", buffering=0)
        self._lock = Lock()

    def append(self, event: WorkerEvent) -> None:
        line = json.dumps(asdict(event)).encode() + b"\n"
        with self._lock:
            self._file.write(line)

    def close(self) -> None:
        self._file.close()


def journal_path(job_dir: Path, attempt: int, rank: int) -> Path:
    return job_dir / f"events-{attempt}-{rank}.jsonl"


def journals(job_dir: Path) -> list[tuple[int, Path]]:
    """(attempt, journal) of all ranks of all attempts, oldest attempt first."""
    found = [(int(path.stem.split("-")[1]), path) for path in job_dir.glob("events-*-*.jsonl")]
    return sorted(found)


def read_journal(path: Path) -> Iterator[WorkerEvent]:
    """The events in a journal. Ends at a line that was torn by the writer's death."""
    with path.open("rb") as file:
        for line in file:
            try:
                yield WorkerEvent(**json.loads(line))
            except (ValueError, TypeError):
                _log.warning("%s ends in a torn line", path)
                return
