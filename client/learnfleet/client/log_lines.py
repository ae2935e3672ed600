"""Lines of a job's log as frozen values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from learnfleet.client.results import time_of
from learnfleet.v1 import job_pb2
from learnfleet.v1 import job_service_pb2 as pb

SEVERITIES = ("info", "warning", "error")


@dataclass(frozen=True)
class LogEntry:
    """What a worker, or the server, has logged of a job."""

    position: str  # its place in the log, for `after`
    time: datetime
    attempt: int
    rank: int  # -1: the server
    severity: str  # info, warning or error
    logger: str
    message: str

    @classmethod
    def from_proto(cls, message: pb.LogEntry) -> LogEntry:
        severity = job_pb2.LogLine.Severity.Name(message.severity).removeprefix("SEVERITY_").lower()
        time = time_of(message.time)
        return cls(message.position, time, message.attempt, message.rank, severity, message.logger, message.message)


def severity_number(name: str) -> job_pb2.LogLine.Severity:
    """Raises ValueError for a name that is none."""
    if name.lower() not in SEVERITIES:
        raise ValueError(f"severity {name!r} must be one of {', '.join(SEVERITIES)}")
    number: job_pb2.LogLine.Severity = job_pb2.LogLine.Severity.Value(f"SEVERITY_{name.upper()}")
    return number
