"""gRPC handlers of a servicer, built from its service descriptor.

Requests are parsed here and not by grpcio, which would answer garbage bytes with INTERNAL or UNKNOWN.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, NoReturn

import grpc
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass

from learnfleet.server.errors import DeadlineExceeded, Draining, FieldViolation, InvalidArgument, ServiceError
from learnfleet.server.rpc import deadlines
from learnfleet.server.rpc.admission import Admission
from learnfleet.server.rpc.limits import CallLimits
from learnfleet.server.rpc.status import message_of, status_code, trailing_metadata
from learnfleet.server.telemetry.calls import current_call

_log = logging.getLogger(__name__)

Unary = Callable[[Any], Awaitable[Message]]
Incoming = Callable[[AsyncGenerator[Any, None]], Awaitable[Message]]
Both = Callable[[AsyncGenerator[Any, None]], AsyncGenerator[Message, None]]
Check = Callable[[Message], Awaitable[None]]
Streaming = Callable[[Any], AsyncGenerator[Message | bytes, None]]  # bytes: of a message that is encoded already


async def _anything(request: Message) -> None:
    """No request is refused before its servicer sees it."""


@dataclass(frozen=True)
class House:
    """The rules that hold for every call of a server."""

    limits: CallLimits = field(default_factory=CallLimits)
    admission: Admission = field(default_factory=Admission)


def handlers_of(
    servicer: object, service: ServiceDescriptor, check: Check = _anything, house: House | None = None
) -> grpc.GenericRpcHandler:
    """Handlers for every RPC of `service`: `GetJob` is `await servicer.get_job(request)`, streams are generators.

    Of a client stream the servicer gets a generator of requests. What it raises is its caller's answer, and need not be
    caught: garbage in mid-stream, or silence for too long.

    `check` sees each request (but those of client streams) before the servicer does, and raises what is wrong with it.
    A call with one request and one answer is given up after the time that the house's limits say.

    Raises TypeError if the servicer lacks a method: an RPC that is published must be there.
    """
    rules = house or House()
    handlers = {method.name: _handler(servicer, method, check, rules) for method in service.methods}
    return grpc.method_handlers_generic_handler(service.full_name, handlers)


def _handler(servicer: object, method: MethodDescriptor, check: Check, house: House) -> grpc.RpcMethodHandler:
    name = re.sub(r"(?<!^)(?=[A-Z])", "_", method.name).lower()
    call = getattr(servicer, name, None)
    if call is None:
        raise TypeError(f"{type(servicer).__name__} has no method {name} for {method.full_name}")
    if method.client_streaming:
        if method.server_streaming:
            return grpc.stream_stream_rpc_method_handler(_both(call, method, house), None, _serialize)
        return grpc.stream_unary_rpc_method_handler(_incoming(call, method, house), None, _serialize)
    if method.server_streaming:
        return grpc.unary_stream_rpc_method_handler(_stream(call, method, check, house), None, _serialize)
    return grpc.unary_unary_rpc_method_handler(_unary(call, method, check, house), None, _serialize)


def _unary(call: Unary, method: MethodDescriptor, check: Check, house: House) -> Callable[..., Awaitable[Message]]:
    async def handle(content: bytes, context: grpc.aio.ServicerContext) -> Message:
        try:
            house.admission.check(method)
            most_s = house.limits.of_call(context.time_remaining())
            deadlines.enter(most_s)
            request = _parse(content, method)
            _note(request)
            with house.admission.at_work():
                async with _in_time(most_s):
                    await check(request)
                    return await call(request)
        except Exception as error:
            await abort(error, method.full_name, context)

    return handle


def _stream(
    call: Streaming, method: MethodDescriptor, check: Check, house: House
) -> Callable[..., AsyncIterator[Message | bytes]]:
    async def handle(content: bytes, context: grpc.aio.ServicerContext) -> AsyncIterator[Message | bytes]:
        try:
            house.admission.check(method)
            deadlines.enter(context.time_remaining())
            request = _parse(content, method)
            _note(request)
            await check(request)
            # Closed at once when the caller goes away, not when it happens to be collected.
            async with aclosing(call(request)) as messages:
                async for message in messages:
                    yield message
        except Exception as error:
            await abort(error, method.full_name, context)

    return handle


def _incoming(call: Incoming, method: MethodDescriptor, house: House) -> Callable[..., Awaitable[Message]]:
    async def handle(contents: AsyncIterator[bytes], context: grpc.aio.ServicerContext) -> Message:
        try:
            house.admission.check(method)
            deadlines.enter(context.time_remaining())
            async with aclosing(_messages(contents, method, house)) as messages:
                return await call(messages)
        except Exception as error:
            await abort(error, method.full_name, context)

    return handle


def _both(call: Both, method: MethodDescriptor, house: House) -> Callable[..., AsyncIterator[Message]]:
    async def handle(contents: AsyncIterator[bytes], context: grpc.aio.ServicerContext) -> AsyncIterator[Message]:
        try:
            house.admission.check(method)
            deadlines.enter(context.time_remaining())
            async with aclosing(_messages(contents, method, house)) as requests, aclosing(call(requests)) as answers:
                async for answer in answers:
                    yield answer
        except Exception as error:
            await abort(error, method.full_name, context)

    return handle


@asynccontextmanager
async def _in_time(most_s: float) -> AsyncIterator[None]:
    """Raises DeadlineExceeded after so long."""
    try:
        async with asyncio.timeout(most_s) as limit:
            yield
    except TimeoutError as error:
        if not limit.expired():
            raise
        told = f"not done within {most_s:g} s, and a call gets no more here; what was begun may still be done"
        raise DeadlineExceeded(told) from error


def _note(request: Message) -> None:
    """Take down what the call is about, where that is to be told of."""
    call = current_call()
    if call is not None and call.is_audited:
        call.asked(request)


async def _messages(
    contents: AsyncIterator[bytes], method: MethodDescriptor, house: House
) -> AsyncGenerator[Message, None]:
    reading, is_first = aiter(contents), True
    while True:
        try:
            async with asyncio.timeout(house.limits.silence_s) as waiting:
                with house.admission.interrupting(waiting):
                    content = await anext(reading)
        except StopAsyncIteration:
            return
        except TimeoutError:
            if house.admission.is_closed:
                raise Draining(
                    "this server stops: go on where this stopped, at another one or when it is back"
                ) from None
            told = f"nothing came for {house.limits.silence_s:g} s; begin again where it stopped"
            raise DeadlineExceeded(told) from None
        request = _parse(content, method)
        if is_first:
            _note(request)
        is_first = False
        yield request


def _parse(content: bytes, method: MethodDescriptor) -> Message:
    message = GetMessageClass(method.input_type)()
    try:
        message.ParseFromString(content)
    except DecodeError:
        what = f"the {len(content)} bytes sent are no {method.input_type.full_name}"
        raise InvalidArgument([FieldViolation("", what)]) from None
    return message


def _serialize(message: Message | bytes) -> bytes:
    return message if isinstance(message, bytes) else bytes(message.SerializeToString())


async def abort(error: Exception, method: str, context: grpc.aio.ServicerContext) -> NoReturn:
    """End a call with what was raised in it."""
    if isinstance(error, ServiceError):
        await context.abort(status_code(error), message_of(error), trailing_metadata(error))
    _log.error("%s failed", method, exc_info=error)
    # Nothing of the error itself: it may hold what the caller must not see.
    call = current_call()
    where = f"; its log says more, by request id {call.request_id}" if call is not None else "; its log says more"
    await context.abort(grpc.StatusCode.INTERNAL, f"this is a fault of the server{where}")
    raise AssertionError("unreachable: abort raises")
