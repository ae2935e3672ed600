"""What a worker's log says of a run while it runs, as `log` events of the job."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from itertools import count

from learnfleet.server.redact import redacted
from learnfleet.server.text import shortened
from learnfleet.server.workers import journal
from learnfleet.server.workers.protocol import Emit

_MOST_LINES = 500  # of a rank in an attempt: a warning in each batch must not fill the store
_MOST_BYTES = 2000  # of a line


@contextlib.contextmanager
def warnings_as_events(emit: Emit, attempt: int, rank: int) -> Iterator[None]:
    """Inside, what any logger of this process says at WARNING or above is an event of the job, from any thread."""
    handler = _LogEvents(emit, attempt, rank)
    root = logging.getLogger()
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)


class _LogEvents(logging.Handler):
    """Emits `log/<attempt>/<rank>/<number>`: {severity, message}."""

    def __init__(self, emit: Emit, attempt: int, rank: int) -> None:
        super().__init__(logging.WARNING)
        self._emit, self._attempt, self._rank = emit, attempt, rank
        self._numbers = count(1)
        # The journal speaks while it notes an event, and would wait for itself; warnings of libraries are no events.
        self.addFilter(lambda record: record.name not in (journal.__name__, "py.warnings"))

    def emit(self, record: logging.LogRecord) -> None:
        number = next(self._numbers)
        if number > _MOST_LINES + 1:
            return
        try:
            message = _text(record)
            if number > _MOST_LINES:
                message = f"there were {_MOST_LINES} warnings: further ones are in the worker's log only"
            severity = "error" if record.levelno >= logging.ERROR else "warning"
            said_by = f"rank {self._rank}: " if self._rank else ""
            data = {"severity": severity, "message": shortened(said_by + redacted(message), _MOST_BYTES)}
            self._emit(f"log/{self._attempt}/{self._rank}/{number}", "log", data)
        except Exception:
            self.handleError(record)


def _text(record: logging.LogRecord) -> str:
    """The line, and what was raised without the way to it."""
    error = record.exc_info[1] if record.exc_info else None
    return record.getMessage() if error is None else f"{record.getMessage()}: {type(error).__name__}: {error}"
