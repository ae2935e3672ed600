"""Who calls, whether they may, and for which tenant: asked once, before any call of any service."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import aclosing
from typing import Any

import grpc

from learnfleet.server.access import identity as identities
from learnfleet.server.access.authenticate import Authenticator, Credentials
from learnfleet.server.access.identity import Identity, Role
from learnfleet.server.access.limits import RateLimits
from learnfleet.server.access.logins import FailedLogins
from learnfleet.server.errors import PermissionDenied, Unauthenticated
from learnfleet.server.rpc import tenants
from learnfleet.server.rpc.handlers import abort
from learnfleet.server.rpc.rules import RULES, Rule
from learnfleet.server.telemetry.calls import current_call

_TOKEN_KEY = "authorization"
_BEARER = "bearer "
_MAX_TOKEN_CHARS = 16 * 1024

Metadata = Iterable[tuple[str, str | bytes]]
_Admit = Callable[[grpc.aio.ServicerContext], Awaitable[None]]
_Take = Callable[[AsyncIterator[Any], grpc.aio.ServicerContext], Awaitable[Any]]


class Gate(grpc.aio.ServerInterceptor):  # type: ignore[misc]  # grpc has no types
    """The one interceptor that lets calls in."""

    def __init__(self, authenticator: Authenticator, limits: RateLimits, failed: FailedLogins) -> None:
        self._authenticator, self._limits, self._failed = authenticator, limits, failed
        self._guarded: dict[str, tuple[object, grpc.RpcMethodHandler]] = {}

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler | None]],
        details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler | None:
        handler, method = await continuation(details), details.method
        if handler is None:
            return None
        rule = RULES.get(method)
        if rule is not None and rule.role is None:
            return handler
        known = self._guarded.get(method)
        if known is None or known[0] is not handler:
            known = self._guarded[method] = handler, _guard(handler, self._admission(method, rule))
        return known[1]

    def _admission(self, method: str, rule: Rule | None) -> _Admit:
        async def admit(context: grpc.aio.ServicerContext) -> None:
            try:
                await self._admit(context, method, rule)
            except Exception as error:
                await abort(error, method, context)

        return admit

    async def _admit(self, context: grpc.aio.ServicerContext, method: str, rule: Rule | None) -> None:
        metadata = context.invocation_metadata() or ()
        try:
            caller = await self._authenticator.identify(_credentials(context, metadata))
        except Unauthenticated as error:
            raise self._failed.failed(context.peer(), method, error) from None
        identities.enter(caller)  # also of calls that are refused below: the audit log tells whose they were
        if rule is None or rule.role is None:  # open ones never come here
            raise PermissionDenied(f"{method} is open to nobody")
        if caller.role < rule.role:
            why = f"{method} is for the role {rule.role.name.lower()}, and you have {caller.role.name.lower()}"
            raise PermissionDenied(f"{why}; ask for a token with that role")
        tenant = _tenant_of(caller, metadata)
        self._limits.take(tenant, rule.kind)
        tenants.enter(tenant)
        call = current_call()
        if call is not None:
            call.tenant = tenant


def _credentials(context: grpc.aio.ServicerContext, metadata: Metadata) -> Credentials:
    """What the caller has shown. Raises Unauthenticated for headers that nobody can read."""
    given = [value for key, value in metadata if key == _TOKEN_KEY]
    token = None
    if given:
        value = given[0]
        if len(given) > 1 or not isinstance(value, str) or not value.lower().startswith(_BEARER):
            raise Unauthenticated(f"metadata {_TOKEN_KEY}: must be one value, `Bearer TOKEN`")
        token = value[len(_BEARER) :].strip()
        if len(token) > _MAX_TOKEN_CHARS:
            raise Unauthenticated(f"metadata {_TOKEN_KEY}: has {len(token)} characters, and no token is as long")
    return Credentials(token, lambda: context.auth_context() or {})


def _tenant_of(caller: Identity, metadata: Metadata) -> str:
    """The caller's own; an admin may name another in the metadata."""
    asked = tenants.named_in(metadata)
    if asked is None or asked == caller.tenant:
        return caller.tenant
    if caller.role < Role.ADMIN:
        why = f"metadata {tenants.METADATA_KEY}: only admins act for other tenants, and yours is {caller.tenant}"
        raise PermissionDenied(f"{why}; leave it out")
    return asked


def _guard(handler: grpc.RpcMethodHandler, admit: _Admit) -> grpc.RpcMethodHandler:
    """The handler, with `admit` before it.

    Also one that takes a single message is made one that reads a stream: gRPC would read that message, which may be
    large, before it asks anybody. On the wire both are the same.
    """
    kind = _NAMES[bool(handler.request_streaming), bool(handler.response_streaming)]
    behaviour = getattr(handler, kind)
    take = _all if handler.request_streaming else _one
    serializers = handler.request_deserializer, handler.response_serializer
    if not handler.response_streaming:
        return grpc.stream_unary_rpc_method_handler(_answering(behaviour, take, admit), *serializers)
    if not inspect.isasyncgenfunction(behaviour):
        raise TypeError(f"{behaviour} must be an asynchronous generator")
    return grpc.stream_stream_rpc_method_handler(_streaming(behaviour, take, admit), *serializers)


_NAMES = {
    (False, False): "unary_unary",
    (False, True): "unary_stream",
    (True, False): "stream_unary",
    (True, True): "stream_stream",
}


async def _all(requests: AsyncIterator[Any], context: grpc.aio.ServicerContext) -> AsyncIterator[Any]:
    return requests


async def _one(requests: AsyncIterator[Any], context: grpc.aio.ServicerContext) -> Any:
    async for request in requests:
        return request
    await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "the call came without its message")
    raise AssertionError("unreachable: abort raises")


def _answering(behaviour: Callable[..., Awaitable[Any]], take: _Take, admit: _Admit) -> Callable[..., Awaitable[Any]]:
    async def handle(requests: AsyncIterator[Any], context: grpc.aio.ServicerContext) -> Any:
        await admit(context)
        return await behaviour(await take(requests, context), context)

    return handle


def _streaming(behaviour: Callable[..., Any], take: _Take, admit: _Admit) -> Callable[..., AsyncIterator[Any]]:
    async def handle(requests: AsyncIterator[Any], context: grpc.aio.ServicerContext) -> AsyncIterator[Any]:
        await admit(context)
        async with aclosing(behaviour(await take(requests, context), context)) as answers:
            async for answer in answers:
                yield answer

    return handle
