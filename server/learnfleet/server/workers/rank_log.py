"""What a worker's loggers say during a run, as JSON lines in the job's folder: one file a rank and attempt."""

from __future__ import annotations

import contextlib
import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path

from learnfleet.server.redact import redacted
from learnfleet.server.text import shortened

_MOST_LINES = 20_000  # of a rank in an attempt, and as many bytes as below
_MOST_BYTES = 8 * 1024 * 1024
_ERRORS_MORE = 500  # lines, so that why an attempt failed is there however much it has said before
_LINE_BYTES = 16_000
_OURS = "learnfleet"  # our own loggers are heard from INFO on, others from WARNING on


def rank_log_path(job_dir: Path, attempt: int, rank: int) -> Path:
    return job_dir / f"log-{attempt}-{rank}.jsonl"


def rank_logs(job_dir: Path) -> dict[tuple[int, int], Path]:
    """The files there are, by attempt and rank, oldest attempt first."""
    found = {}
    for path in job_dir.glob("log-*-*.jsonl"):
        _, attempt, rank = path.stem.split("-")
        found[int(attempt), int(rank)] = path
    return dict(sorted(found.items()))


@contextlib.contextmanager
def logging_to(path: Path) -> Iterator[None]:
    """Inside, what is logged in this process, and what its code warns of, goes to the file, from any thread."""
    handler, root, ours = _RankLog(path), logging.getLogger(), logging.getLogger(_OURS)
    level = ours.level
    root.addHandler(handler)
    ours.setLevel(logging.INFO)
    logging.captureWarnings(True)
    try:
        yield
    finally:
        logging.captureWarnings(False)
        ours.setLevel(level)
        root.removeHandler(handler)
        handler.close()


class _RankLog(logging.Handler):
    """Writes {time_s, severity, logger, message}, an exception with its traceback. A full disk costs lines only."""

    def __init__(self, path: Path) -> None:
        super().__init__(logging.INFO)
        self._path = path
        self._file: io.FileIO | None = None
        self._lines = self._bytes = self._errors = 0
        self.addFilter(lambda record: record.levelno >= logging.WARNING or record.name.split(".")[0] == _OURS)

    def emit(self, record: logging.LogRecord) -> None:
        try:
            if self._is_full(record):
                return
            line = json.dumps(
                {
                    "time_s": record.created,
                    "severity": _severity(record),
                    "logger": record.name,
                    "message": shortened(redacted(_text(record)), _LINE_BYTES),
                }
            )
            self._write(line.encode() + b"\n")
        except OSError:
            pass
        except Exception:
            self.handleError(record)

    def _is_full(self, record: logging.LogRecord) -> bool:
        if self._lines < _MOST_LINES and self._bytes < _MOST_BYTES:
            return False
        self._errors += record.levelno >= logging.ERROR
        return record.levelno < logging.ERROR or self._errors > _ERRORS_MORE

    def _write(self, line: bytes) -> None:
        if self._file is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._path.open("ab", buffering=0)
        self._file.write(line)
        self._lines, self._bytes = self._lines + 1, self._bytes + len(line)

    def close(self) -> None:
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.close()
        super().close()


def _severity(record: logging.LogRecord) -> str:
    if record.levelno >= logging.ERROR:
        return "error"
    return "warning" if record.levelno >= logging.WARNING else "info"


def _text(record: logging.LogRecord) -> str:
    message = record.getMessage()
    if record.exc_info and record.exc_info[0] is not None:
        message = f"{message}\n{logging.Formatter().formatException(record.exc_info)}"
    return message
