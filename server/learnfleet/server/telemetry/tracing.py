"""Traces: spans of this process, sent by OTLP over gRPC. Off unless a collector is named, and then it costs nothing.

No global provider is set: libraries that find OpenTelemetry installed (MLflow, Ray) have nothing to do with it.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from threading import Thread
from typing import TYPE_CHECKING, Any

from learnfleet.server.redact import redacted
from learnfleet.server.telemetry.calls import Call
from learnfleet.server.telemetry.trace_context import TraceContext

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace.export import SpanExporter
    from opentelemetry.trace import Span

_EXPORT_EVERY_MS = 1000
_EXPORT_TIMEOUT_S = 5
_FLUSH_MS = 3000
_MOST_WAITING = 4096  # spans; further ones are dropped, and nothing waits for a collector

Attributes = Mapping[str, str | int | float | bool]

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TraceSettings:
    """Where spans go, and how many traces are begun. Sent to workers, too."""

    endpoint: str = ""  # http://host:4317, https:// for TLS; "": no traces
    ratio: float = 1.0  # of the calls that bring no trace with them; those that do have decided already

    @property
    def is_on(self) -> bool:
        return bool(self.endpoint)


class TracingNotInstalled(RuntimeError):
    """Traces are asked for, and what makes them is not there."""

    def __init__(self, missing: str) -> None:
        super().__init__(
            f"traces need {missing}, which is not installed: pip install 'learnfleet[tracing]', or leave out"
            " --traces-endpoint"
        )


class Tracing:
    """Makes spans. Safe to use from several threads.

    Args:
        service: `service.name` of all spans.
        attributes: of the resource, such as the server's id.

    Raises TracingNotInstalled.
    """

    def __init__(self, settings: TraceSettings, service: str, attributes: Attributes | None = None) -> None:
        self._tracer: Any = None
        if not settings.is_on:
            return
        try:
            from opentelemetry.sdk.resources import Resource
            from opentelemetry.sdk.trace import TracerProvider
            from opentelemetry.sdk.trace.export import BatchSpanProcessor
            from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased

            exporter = _exporter(settings.endpoint)
        except ImportError as error:
            raise TracingNotInstalled(error.name or str(error)) from error
        self._provider = TracerProvider(
            sampler=ParentBased(TraceIdRatioBased(settings.ratio)),
            resource=Resource.create({"service.name": service, **(attributes or {})}),
            shutdown_on_exit=False,
        )
        self._provider.add_span_processor(
            BatchSpanProcessor(exporter, _MOST_WAITING, _EXPORT_EVERY_MS, export_timeout_millis=_FLUSH_MS)
        )
        self._tracer = self._provider.get_tracer("learnfleet")

    @property
    def is_on(self) -> bool:
        return self._tracer is not None

    def call_begins(self, call: Call) -> CallSpan | None:
        """The span of a call, a part of the caller's trace; from here on `call.trace` is the span's."""
        if self._tracer is None:
            return None
        from opentelemetry.trace import SpanKind

        service, _, method = call.method.partition("/")
        attributes: dict[str, str] = {"rpc.system": "grpc", "rpc.service": service, "rpc.method": method}
        span = self._tracer.start_span(call.method, _context(call.trace), SpanKind.SERVER, attributes)
        call.trace = _of_span(span)
        return CallSpan(span)

    def begin(
        self, name: str, parent: TraceContext | None, attributes: Attributes | None = None, start_s: float | None = None
    ) -> OpenSpan | None:
        """A span that its owner ends. `start_s`: seconds since the epoch; None: now. None where traces are off."""
        if self._tracer is None:
            return None
        start_ns = None if start_s is None else _ns(start_s)
        return OpenSpan(self._tracer.start_span(name, _context(parent), attributes=attributes, start_time=start_ns))

    def past(
        self,
        name: str,
        parent: TraceContext,
        start_s: float,
        end_s: float,
        attributes: Attributes | None = None,
        error: str = "",
    ) -> None:
        """A span that is over. Times are seconds since the epoch."""
        span = self.begin(name, parent, attributes, start_s)
        if span is not None:
            span.end(error, end_s)

    def flush(self) -> None:
        """Send what there is, for a bounded time."""
        if self._tracer is not None:
            self._provider.force_flush(_FLUSH_MS)

    def close(self) -> None:
        """Send what there is, and end. Blocks for a bounded time."""
        if self._tracer is not None:  # a collector that is away must not hold up a server that stops
            ending = Thread(target=self._provider.shutdown, name="traces-end", daemon=True)
            ending.start()
            ending.join(_FLUSH_MS / 1000)


class OpenSpan:
    """A span that is under way."""

    def __init__(self, span: Span) -> None:
        self._span = span

    @property
    def context(self) -> TraceContext:
        return _of_span(self._span)

    def end(self, error: str = "", end_s: float | None = None) -> None:
        """`error`: why what it stands for has failed; secrets in it are masked."""
        if error:
            from opentelemetry.trace import Status, StatusCode

            self._span.set_status(Status(StatusCode.ERROR, redacted(error)))
        self._span.end(None if end_s is None else _ns(end_s))


class CallSpan:
    """The span of a call."""

    # Faults of the server's; the others are answers, by the conventions for spans of gRPC servers.
    _ERRORS = frozenset({"UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"})

    def __init__(self, span: Span) -> None:
        self._span = span

    def end(self, code: str) -> None:
        from opentelemetry.trace import Status, StatusCode

        self._span.set_attribute("rpc.response.status_code", code)
        if code in self._ERRORS:
            self._span.set_status(Status(StatusCode.ERROR, code))
        self._span.end()


def _exporter(endpoint: str) -> SpanExporter:
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

    return OTLPSpanExporter(endpoint, insecure=not endpoint.startswith("https://"), timeout=_EXPORT_TIMEOUT_S)


def _context(parent: TraceContext | None) -> Context:
    """One that has only the parent in it: what else is current in this thread is none of ours."""
    from opentelemetry.context import Context
    from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, set_span_in_context

    if parent is None:
        return Context()
    flags = TraceFlags(TraceFlags.SAMPLED if parent.is_sampled else TraceFlags.DEFAULT)
    known = SpanContext(int(parent.trace_id, 16), int(parent.span_id, 16), is_remote=True, trace_flags=flags)
    return set_span_in_context(NonRecordingSpan(known), Context())


def _of_span(span: Span) -> TraceContext:
    context = span.get_span_context()
    return TraceContext(f"{context.trace_id:032x}", f"{context.span_id:016x}", context.trace_flags.sampled)


def _ns(seconds: float) -> int:
    return round(seconds * 1e9)
