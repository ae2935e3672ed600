"""What a check has found, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARN = "warn"  # it works, and may not for long or not as it is meant
    FAIL = "fail"  # a server would not start, or would lose or refuse what it is asked


@dataclass(frozen=True)
class Finding:
    """One line of the doctor's."""

    subject: str  # store, storage, ray, ...
    level: Level
    found: str
    advice: str = ""  # what to do, unless it is OK


def ok(subject: str, found: str) -> Finding:
    return Finding(subject, Level.OK, found)


def warn(subject: str, found: str, advice: str) -> Finding:
    return Finding(subject, Level.WARN, found, advice)


def fail(subject: str, found: str, advice: str) -> Finding:
    return Finding(subject, Level.FAIL, found, advice)
