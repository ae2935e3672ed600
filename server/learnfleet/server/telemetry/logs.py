"""How this process writes its log: lines for people, or JSON lines for machines, on standard error."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from types import TracebackType
from typing import TextIO

from learnfleet.server.redact import redacted
from learnfleet.server.telemetry.log_fields import Value, fields_now

LEVELS = ("debug", "info", "warning", "error")
_log = logging.getLogger(__name__)

_FORMAT_VARIABLE, _LEVEL_VARIABLE = "LEARNFLEET_LOG_FORMAT", "LEARNFLEET_LOG_LEVEL"


class LogFormat(StrEnum):
    TEXT = "text"
    JSON = "json"


@dataclass(frozen=True)
class LogSettings:
    """How this process and those it starts write their logs."""

    format: LogFormat = LogFormat.TEXT
    level: str = "info"

    def to_environment(self) -> dict[str, str]:
        """For child processes."""
        return {_FORMAT_VARIABLE: str(self.format), _LEVEL_VARIABLE: self.level}

    @classmethod
    def of_environment(cls, environment: Mapping[str, str] = os.environ) -> LogSettings:
        """What a parent has said."""
        text, level = environment.get(_FORMAT_VARIABLE, "text"), environment.get(_LEVEL_VARIABLE, "info")
        return cls(LogFormat(text), level if level in LEVELS else "info")


def set_up(settings: LogSettings, stream: TextIO | None = None, more: Callable[[], Mapping[str, Value]] = dict) -> None:
    """Let the loggers of this process write to standard error. `more`: fields of every line.

    Replaces what was set up before.
    """
    root = logging.getLogger()
    for handler in [handler for handler in root.handlers if isinstance(handler, _Stream)]:
        root.removeHandler(handler)
    root.addHandler(handler_of(settings, stream, more))
    root.setLevel(settings.level.upper())


def log_uncaught() -> None:
    """What nobody catches goes through the log as well: as one line, secrets masked."""

    def in_thread(raised: threading.ExceptHookArgs) -> None:
        if raised.exc_type is not SystemExit and raised.exc_value is not None:
            _log.critical("a thread has ended: %s", raised.thread and raised.thread.name, exc_info=raised.exc_value)

    def in_main(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        _log.critical("the process ends", exc_info=(kind, error, trace))

    sys.excepthook, threading.excepthook = in_main, in_thread
    logging.captureWarnings(True)


@contextlib.contextmanager
def logged_to_stderr(settings: LogSettings, more: Callable[[], Mapping[str, Value]]) -> Iterator[None]:
    """Inside, what is logged in this process goes to standard error. For processes that are not ours alone."""
    handler, root, ours = handler_of(settings, None, more), logging.getLogger(), logging.getLogger("learnfleet")
    handler.setLevel(settings.level.upper())
    level = ours.level
    ours.setLevel(min(handler.level, level or logging.WARNING))
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)
        ours.setLevel(level)


def handler_of(
    settings: LogSettings, stream: TextIO | None = None, more: Callable[[], Mapping[str, Value]] = dict
) -> logging.Handler:
    """What writes as `settings` say."""
    handler = _Stream(stream or sys.stderr)
    handler.setFormatter(JsonLines(more) if settings.format is LogFormat.JSON else TextLines())
    return handler


class _Stream(logging.StreamHandler[TextIO]):
    """So that a second `set_up` finds the first."""


class TextLines(logging.Formatter):
    """`2026-11-27 10:15:02,113 INFO learnfleet.server.app: ...`, secrets masked."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        return redacted(super().format(record))


class JsonLines(logging.Formatter):
    """One JSON object a line: time, level, logger, message, and what the line belongs to as far as that is known."""

    def __init__(self, more: Callable[[], Mapping[str, Value]] = dict) -> None:
        super().__init__()
        self._more = more

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="microseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": redacted(record.getMessage()),
            **self._more(),
            **fields_now(),
        }
        if record.exc_info and record.exc_info[0] is not None:
            line["exception"] = redacted(self.formatException(record.exc_info))
        if record.stack_info:
            line["stack"] = redacted(record.stack_info)
        return json.dumps(line, ensure_ascii=False)
