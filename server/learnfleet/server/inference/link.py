"""A replica as the control server speaks to it."""

from __future__ import annotations

import asyncio
import contextlib

import grpc

from learnfleet.server.inference import wire

_GONE = (grpc.ChannelConnectivity.TRANSIENT_FAILURE, grpc.ChannelConnectivity.SHUTDOWN)
_UNLIMITED = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


class ReplicaLost(Exception):
    """It died, or does not answer in time."""


class ReplicaLink:
    """One connection. Every method raises ReplicaLost."""

    def __init__(self, address: str, token: str) -> None:
        self._metadata = ((wire.TOKEN_KEY, token),)
        self._channel = grpc.aio.insecure_channel(address, _UNLIMITED)

    async def connect(self, timeout_s: float) -> None:
        try:
            await asyncio.wait_for(self._channel.channel_ready(), timeout_s)
        except TimeoutError:
            raise ReplicaLost(f"no connection in {timeout_s:g} s") from None

    async def until_lost(self) -> None:
        """Until its process is gone. One that only hangs is found by the time limits of calls."""
        with contextlib.suppress(grpc.aio.UsageError):  # it was closed here
            while (state := self._channel.get_state(try_to_connect=True)) not in _GONE:
                await self._channel.wait_for_state_change(state)

    async def load(self, request: wire.LoadRequest, timeout_s: float) -> wire.LoadReply:
        return wire.LoadReply.decode(await self._call(wire.LOAD, request.encode(), timeout_s))

    async def infer(self, request: wire.InferRequest, timeout_s: float) -> wire.InferReply:
        return wire.InferReply.decode(await self._call(wire.INFER, request.encode(), timeout_s))

    async def unload(self, key: str, timeout_s: float) -> None:
        await self._call(wire.UNLOAD, key.encode(), timeout_s)

    async def close(self) -> None:
        await self._channel.close()

    async def _call(self, method: str, content: bytes, timeout_s: float) -> bytes:
        try:
            answer: bytes = await self._channel.unary_unary(method)(content, timeout=timeout_s, metadata=self._metadata)
        except grpc.aio.AioRpcError as error:
            raise ReplicaLost(f"{error.code().name}: {error.details()}") from None
        except grpc.aio.UsageError as error:
            raise ReplicaLost(str(error)) from None
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            raise ReplicaLost("the connection was closed") from None  # by `close`: nobody cancelled the caller
        return answer
