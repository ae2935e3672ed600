"""A channel to a server for asyncio: typed errors, deadlines, and retries where a repeat is safe."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeVar

import grpc

from learnfleet.client.connection import MAX_MESSAGE_MB, Services, channel_options
from learnfleet.client.errors import from_rpc
from learnfleet.client.patience import Patience
from learnfleet.client.security import Security, security_for

_T = TypeVar("_T")


class AsyncConnection(Services):
    """Stubs of all services on one channel, which belongs to the event loop that it is first used in."""

    def __init__(
        self,
        address: str,
        timeout_s: float,
        retry_s: float,
        max_message_mb: int = MAX_MESSAGE_MB,
        security: Security | None = None,
    ) -> None:
        """As `Connection`."""
        self.address, self.timeout_s, self.retry_s = address, timeout_s, retry_s
        security = security or security_for(address)
        options = [*channel_options(max_message_mb), *security.options]
        credentials = security.channel_credentials()
        if credentials is None:
            self._channel = grpc.aio.insecure_channel(address, options)
        else:
            self._channel = grpc.aio.secure_channel(address, credentials, options)
        super().__init__(security.authorized(self._channel), max_message_mb)

    async def close(self) -> None:
        await self._channel.close()

    async def call(self, rpc: Callable[..., Awaitable[_T]], request: object) -> _T:
        """One unary call, repeated while the server is unavailable. As `Connection.call`."""
        patience = Patience(self.retry_s)
        while True:
            try:
                return await rpc(request, timeout=self.timeout_s)
            except grpc.RpcError as error:
                pause_s = patience.pause_after(error)
            await asyncio.sleep(pause_s)

    async def read(self, rpc: Callable[..., Any], request: object) -> AsyncIterator[Any]:
        """All answers of one server stream. Raises this package's errors."""
        try:
            async for answer in self.stream(rpc, request):
                yield answer
        except grpc.RpcError as error:
            raise from_rpc(error) from None

    async def stream(self, rpc: Callable[..., Any], request: object) -> AsyncIterator[Any]:
        """One server stream, ended when the caller stops reading. Raises grpc.RpcError."""
        with self.streams.one():
            call = rpc(request)
            try:
                async for answer in call:
                    yield answer
            finally:
                call.cancel()
