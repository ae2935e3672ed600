"""How many calls of each method began and ended, with which codes, and how long they took.

Names and labels are those that gRPC's Prometheus interceptors of other languages have, so that their dashboards fit.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from prometheus_client import CollectorRegistry, Counter, Histogram

Handled: TypeAlias = Callable[[str], Counter]

_METHOD = ("grpc_type", "grpc_service", "grpc_method")
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


class RpcMetrics:
    """Of all methods. Callers must see to it that there is a bounded number of names."""

    def __init__(self, registry: CollectorRegistry) -> None:
        started = "Calls that have begun."
        self._started = Counter("grpc_server_started", started, _METHOD, registry=registry)
        handled = "Calls that have ended, by the code that the caller was told."
        self._handled = Counter("grpc_server_handled", handled, (*_METHOD, "grpc_code"), registry=registry)
        took = "From the arrival of a call to its end; of a stream, as long as it was open."
        self._seconds = Histogram("grpc_server_handling_seconds", took, _METHOD, buckets=_SECONDS, registry=registry)

    def of(self, service: str, method: str, *, client_streams: bool, server_streams: bool) -> MethodMetrics:
        if client_streams:
            kind = "bidi_stream" if server_streams else "client_stream"
        else:
            kind = "server_stream" if server_streams else "unary"
        labels = (kind, service, method)
        return MethodMetrics(
            self._started.labels(*labels),
            self._seconds.labels(*labels),
            lambda code: self._handled.labels(*labels, code),
        )


class MethodMetrics:
    """Of one method, its labels looked up once."""

    def __init__(self, started: Counter, seconds: Histogram, handled: Handled) -> None:
        self._started, self._seconds, self._find = started, seconds, handled
        self._handled: dict[str, Counter] = {}

    def began(self) -> None:
        self._started.inc()

    def ended(self, code: str, seconds: float) -> None:
        handled = self._handled.get(code)
        if handled is None:
            handled = self._handled[code] = self._find(code)
        handled.inc()
        self._seconds.observe(seconds)
