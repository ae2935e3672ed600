"""What one server tells of itself: metrics, audit log, traces."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field

from learnfleet.server.config import Config
from learnfleet.server.domain import Job
from learnfleet.server.telemetry.audit import AuditLog
from learnfleet.server.telemetry.job_traces import JobTraces
from learnfleet.server.telemetry.logs import LogFormat, LogSettings
from learnfleet.server.telemetry.metrics import Metrics
from learnfleet.server.telemetry.tracing import TraceSettings, Tracing

OFF = "off"

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Telemetry:
    """By default metrics are counted, and nothing is written or sent anywhere."""

    metrics: Metrics = field(default_factory=Metrics)
    audit: AuditLog = field(default_factory=lambda: AuditLog(""))
    tracing: Tracing = field(default_factory=lambda: Tracing(TraceSettings(), ""))

    def job_moved(self, before: Job, after: Job) -> None:
        """A transition was written. From any thread; never raises, as it has happened whatever is told of it."""
        try:
            self.metrics.jobs.moved(before, after)
            JobTraces(self.tracing).moved(before, after)
        except Exception:
            _log.exception("jobs/%s: its change to %s was not told of", after.id, after.state)

    def close(self) -> None:
        """Write and send what there is. Blocks for a bounded time."""
        self.audit.close()
        self.tracing.close()


def telemetry_of(config: Config) -> Telemetry:
    """As the configuration says. Raises RuntimeError: an audit log that cannot be opened, TracingNotInstalled."""
    metrics = Metrics()
    tracing = Tracing(trace_settings(config), "learnfleet-server", {"service.instance.id": config.server_id})
    try:
        audit = AuditLog(audit_place(config), config.server_id, metrics.audit_failures.inc)
    except OSError as error:
        raise RuntimeError(f"the audit log cannot be opened: {error}; name another file by --audit-log") from error
    return Telemetry(metrics, audit, tracing)


def log_settings(config: Config) -> LogSettings:
    return LogSettings(LogFormat(config.log_format), config.log_level)


def trace_settings(config: Config) -> TraceSettings:
    return TraceSettings(config.traces_endpoint or "", config.traces_ratio)


def audit_place(config: Config) -> str:
    """A file, `-` for standard error, or nothing."""
    if config.audit_log is None:
        # Servers that share the folder have a file each: not every network file system can append for two.
        name = "audit.jsonl" if config.is_alone else f"audit-{config.server_id}.jsonl"
        return str(config.data_dir / name)
    return "" if config.audit_log == OFF else config.audit_log
