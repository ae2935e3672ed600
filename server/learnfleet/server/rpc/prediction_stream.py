"""Pictures that are predicted while they come: bounded at every moment, whatever the caller sends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator

from learnfleet.server.errors import Draining, FieldViolation, InvalidArgument, ResourceExhausted, Unavailable
from learnfleet.server.inference.ports import Inference
from learnfleet.server.rpc import deadlines
from learnfleet.server.rpc.read_asked import Asked
from learnfleet.server.rpc.read_input import read_input
from learnfleet.server.rpc.server_files import ServerFiles
from learnfleet.server.rpc.window import Window
from learnfleet.server.rpc.write_prediction import error_to_proto, result_to_proto
from learnfleet.v1 import prediction_service_pb2 as pb

MAX_ID_BYTES = 200
_IN_FLIGHT, _IN_FLIGHT_BYTES = 64, 64 * 2**20
_FULL_PAUSE_S = 0.05  # the model's queue is full of other calls' items

_Answer = tuple[pb.PredictStreamResponse, int]  # with the bytes that its item takes of the window
_End = Exception | None


class PredictionStream:
    """One PredictStream call."""

    def __init__(self, inference: Inference, files: ServerFiles, asked: Asked) -> None:
        self._inference, self._files, self._asked = inference, files, asked
        self._window = Window(_IN_FLIGHT, _IN_FLIGHT_BYTES)
        self._ready: asyncio.Queue[_Answer | _End] = asyncio.Queue()

    async def answers(
        self, requests: AsyncGenerator[pb.PredictStreamRequest, None]
    ) -> AsyncGenerator[pb.PredictStreamResponse, None]:
        """Answers as they are ready. Items that the caller has no answer for count as being worked on.

        Raises what is wrong with the stream as a whole.
        """
        reading = asyncio.create_task(self._read(requests))
        try:
            while isinstance(answer := await self._ready.get(), tuple):
                yield answer[0]
                self._window.leave(answer[1])
            if answer is not None:
                raise answer
        finally:
            reading.cancel()
            await asyncio.wait([reading])

    async def _read(self, requests: AsyncIterator[pb.PredictStreamRequest]) -> None:
        tasks: set[asyncio.Task[None]] = set()
        try:
            async for request in requests:
                size = request.ByteSize()
                await self._window.enter(size)
                task = asyncio.create_task(self._one(_item(request), size))
                tasks.add(task)
                task.add_done_callback(tasks.discard)
            await asyncio.gather(*tasks)
            self._ready.put_nowait(None)
        except Draining as error:  # no more is read; what was is answered
            await asyncio.gather(*tasks)
            self._ready.put_nowait(error)
        except Exception as error:
            self._ready.put_nowait(error)
        finally:
            for task in tasks:
                task.cancel()

    async def _one(self, item: pb.StreamItem, size: int) -> None:
        try:
            result = await self._result(item)
        except Exception as error:  # of the model, not of the item: it ends the stream
            self._ready.put_nowait(error)
        else:
            self._ready.put_nowait((pb.PredictStreamResponse(id=item.id, result=result), size))

    async def _result(self, item: pb.StreamItem) -> pb.ItemResult:
        if not 0 < len(item.id.encode()) <= MAX_ID_BYTES:
            why = f"has {len(item.id.encode())} bytes; must have 1 to {MAX_ID_BYTES}"
            return error_to_proto(InvalidArgument([FieldViolation("id", why)]))
        try:
            asked_input = await read_input(item.input, self._files)
        except (InvalidArgument, Unavailable) as error:
            return error_to_proto(error)
        while True:
            try:
                reply = await self._inference.infer(
                    self._asked.model, [asked_input], self._asked.options, deadlines.remaining_s()
                )
            except ResourceExhausted:
                await asyncio.sleep(_FULL_PAUSE_S)
            else:
                return result_to_proto(reply.items[0], asked_input, reply.model, self._asked.top_k)


def _item(request: pb.PredictStreamRequest) -> pb.StreamItem:
    if request.WhichOneof("request") != "item":
        raise InvalidArgument([FieldViolation("item", "is missing; every message after the first must be an item")])
    return request.item


async def first_of(requests: AsyncGenerator[pb.PredictStreamRequest, None]) -> pb.PredictStreamSettings:
    """The settings that a stream begins with. Raises InvalidArgument where it does not."""
    request = await anext(requests, None)
    if request is None or request.WhichOneof("request") != "settings":
        raise InvalidArgument([FieldViolation("settings", "is missing; the first message must be the settings")])
    return request.settings
