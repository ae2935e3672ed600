"""Every call seen from outside: counted, timed, traced, and where it was to change something, written down."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import aclosing
from dataclasses import dataclass
from inspect import isasyncgenfunction
from typing import Any

import grpc
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.descriptor_pb2 import MethodOptions

from learnfleet.server.access import identity as identities
from learnfleet.server.telemetry import calls
from learnfleet.server.telemetry.audit import AuditLog, Entry
from learnfleet.server.telemetry.calls import Call
from learnfleet.server.telemetry.identity import NOBODY, who_asks
from learnfleet.server.telemetry.rpc_metrics import MethodMetrics, RpcMetrics
from learnfleet.server.telemetry.trace_context import of_metadata
from learnfleet.server.telemetry.tracing import CallSpan, Tracing

_OTHER = "other"  # the name of what no service here has: callers must not make up new ones


def changes_something(method: MethodDescriptor) -> bool:
    """Whether a call of it is audited: all are whose proto does not say that they have no effects.

    gRPC's own services, whose protos say nothing of it, change nothing.
    """
    if _is_of_grpc(method):
        return False
    return bool(method.GetOptions().idempotency_level != MethodOptions.NO_SIDE_EFFECTS)


def _is_of_grpc(method: MethodDescriptor) -> bool:
    return bool(method.containing_service.full_name.startswith("grpc."))


@dataclass(frozen=True)
class Method:
    """What is known of a method before it is called."""

    name: str  # learnfleet.v1.JobService/GetJob
    metrics: MethodMetrics
    is_audited: bool
    is_traced: bool  # what probes ask every few seconds would be most of all traces


class ObservedCalls(grpc.aio.ServerInterceptor):  # type: ignore[misc]
    """To be the first of the interceptors: it sees what the others refuse, too.

    Args:
        services: those whose methods are told apart, and audited if they change something.
    """

    def __init__(
        self, services: Iterable[ServiceDescriptor], metrics: RpcMetrics, audit: AuditLog, tracing: Tracing
    ) -> None:
        self._rpc, self._audit, self._tracing = metrics, audit, tracing
        self._known = {f"/{each.full_name}/{method.name}": method for each in services for method in each.methods}
        self._methods: dict[str, Method] = {}

    async def intercept_service(self, continuation: Callable[..., Awaitable[Any]], details: Any) -> Any:
        handler = await continuation(details)
        if handler is None:  # gRPC answers UNIMPLEMENTED
            return None
        return self._wrapped(handler, self._method(details.method, handler))

    def _method(self, path: str, handler: Any) -> Method:
        method = self._methods.get(path)
        return method if method is not None else self._learn(path, handler)

    def _learn(self, path: str, handler: Any) -> Method:
        known = self._known.get(path)
        if known is None:
            kinds = {"client_streams": handler.request_streaming, "server_streams": handler.response_streaming}
            metrics = self._rpc.of(_OTHER, _OTHER, **kinds)
            return Method(f"{_OTHER}/{_OTHER}", metrics, is_audited=False, is_traced=False)
        # Not by the handler: the gate makes one that reads a stream of one that takes a single message.
        kinds = {"client_streams": known.client_streaming, "server_streams": known.server_streaming}
        metrics = self._rpc.of(known.containing_service.full_name, known.name, **kinds)
        made = Method(path.strip("/"), metrics, changes_something(known), not _is_of_grpc(known))
        self._methods[path] = made
        return made

    def _wrapped(self, handler: Any, method: Method) -> Any:
        coders = handler.request_deserializer, handler.response_serializer
        if handler.response_streaming:
            if handler.request_streaming:
                return grpc.stream_stream_rpc_method_handler(self._streaming(handler.stream_stream, method), *coders)
            return grpc.unary_stream_rpc_method_handler(self._streaming(handler.unary_stream, method), *coders)
        if handler.request_streaming:
            return grpc.stream_unary_rpc_method_handler(self._single(handler.stream_unary, method), *coders)
        return grpc.unary_unary_rpc_method_handler(self._single(handler.unary_unary, method), *coders)

    def _single(self, inner: Callable[..., Awaitable[Any]], method: Method) -> Callable[..., Awaitable[Any]]:
        async def handle(request: Any, context: grpc.aio.ServicerContext) -> Any:
            seen = self._begin(method, context)
            try:
                answer = await inner(request, self._told_first(seen, context))
            except BaseException as error:
                entry = seen.end(_code_of(error, context))
                if entry is not None:  # not written by `_Refusing`: the caller has gone, or nobody has caught the error
                    self._audit.submit(entry)
                raise
            seen.call.answered(answer)
            entry = seen.end(_code_told(context))
            if entry is not None:
                await self._audit.write(entry)
            return answer

        return handle

    def _streaming(self, inner: Callable[..., Any], method: Method) -> Callable[..., Any]:
        if not isasyncgenfunction(inner):  # one that writes to the context, as health's Watch
            return self._single(inner, method)

        async def handle(request: Any, context: grpc.aio.ServicerContext) -> AsyncIterator[Any]:
            seen = self._begin(method, context)
            try:
                async with aclosing(inner(request, self._told_first(seen, context))) as answers:
                    async for answer in answers:
                        yield answer
            except BaseException as error:
                entry = seen.end(_code_of(error, context))
                if entry is not None:
                    self._audit.submit(entry)
                raise
            entry = seen.end(_code_told(context))
            if entry is not None:
                await self._audit.write(entry)

        return handle

    def _told_first(self, seen: _Seen, context: grpc.aio.ServicerContext) -> Any:
        """A context that writes down that the call is refused before its caller is told."""
        return _Refusing(seen, self._audit, context) if seen.call.is_audited else context

    def _begin(self, method: Method, context: grpc.aio.ServicerContext) -> _Seen:
        method.metrics.began()
        trace = of_metadata(context.invocation_metadata())
        call = Call(method.name, context.peer(), trace, is_audited=method.is_audited and self._audit.is_on)
        span = self._tracing.call_begins(call) if method.is_traced else None
        calls.enter(call)
        identities.enter(NOBODY)
        return _Seen(method, call, span, time.perf_counter())


@dataclass(slots=True)
class _Seen:
    """A call that is under way."""

    method: Method
    call: Call
    span: CallSpan | None
    began_s: float
    has_ended: bool = False

    def end(self, code: str) -> Entry | None:
        """What is to be written to the audit log, if anything. What ended first counts."""
        if self.has_ended:
            return None
        self.has_ended = True
        took_s = time.perf_counter() - self.began_s
        self.method.metrics.ended(code, took_s)
        if self.span is not None:
            self.span.end(code)
        if not self.call.is_audited:
            return None
        call = self.call
        who = who_asks(call)
        return Entry(
            call.method,
            code,
            call.peer,
            who.tenant,
            who.subject,
            who.role,
            call.request_id,
            call.resources,
            took_s,
            call.trace.trace_id if call.trace else "",
        )


class _Refusing:
    """The context of a call that is audited: as gRPC's, but for `abort`, which sends the answer."""

    def __init__(self, seen: _Seen, audit: AuditLog, context: grpc.aio.ServicerContext) -> None:
        self._seen, self._audit, self._context = seen, audit, context

    def __getattr__(self, name: str) -> Any:
        return getattr(self._context, name)

    async def abort(self, code: grpc.StatusCode, details: str = "", trailing_metadata: Any = ()) -> None:
        entry = self._seen.end(code.name)
        if entry is not None:
            await self._audit.write(entry)
        await self._context.abort(code, details, trailing_metadata)


def _code_of(error: BaseException, context: grpc.aio.ServicerContext) -> str:
    if isinstance(error, asyncio.CancelledError | GeneratorExit):
        return "CANCELLED"
    code = _code_told(context)
    return "UNKNOWN" if code == "OK" else code  # what gRPC makes of an exception that nobody has caught


def _code_told(context: grpc.aio.ServicerContext) -> str:
    """None is what a context has that nobody has told of trouble."""
    code = context.code()
    return "OK" if code is None else str(code.name)
