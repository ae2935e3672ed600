"""Predictions of many pictures, for asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Iterable
from pathlib import Path

import grpc

from learnfleet.client.aio_connection import AsyncConnection
from learnfleet.client.asking import Answer, Ask, answer_of, halves, items_of, unreadable
from learnfleet.client.errors import PictureError, ResourceExhaustedError
from learnfleet.client.inputs import input_of
from learnfleet.client.patience import Patience
from learnfleet.v1 import prediction_service_pb2 as pb

Items = AsyncIterable[object] | Iterable[object] | str | Path

_Sent = tuple[object, pb.PredictStreamRequest]
_Found = tuple[object, Answer]


async def predict_batch(connection: AsyncConnection, ask: Ask, items: Iterable[object] | str | Path) -> list[Answer]:
    """As `predicting.predict_batch`."""
    found: list[Answer] = []
    for batch in ask.batches(items_of(items), connection.most_bytes // 2):
        found += batch.answers(await _results(connection, batch.request) if batch.request.inputs else ())
    return found


async def _results(connection: AsyncConnection, request: pb.PredictBatchRequest) -> list[pb.ItemResult]:
    try:
        return list((await connection.call(connection.prediction.PredictBatch, request)).results)
    except ResourceExhaustedError:
        if len(request.inputs) == 1:
            raise
    return [result for half in halves(request) for result in await _results(connection, half)]


async def predict_stream(connection: AsyncConnection, ask: Ask, items: Items, in_flight: int) -> AsyncIterator[_Found]:
    """As `predicting.predict_stream`."""
    sending = AsyncSending(in_flight)
    reading = asyncio.create_task(sending.read(items if isinstance(items, AsyncIterable) else items_of(items)))
    patience = Patience(connection.retry_s)
    try:
        while True:
            try:
                requests = sending.requests(ask.settings())
                async for response in connection.stream(connection.prediction.PredictStream, requests):
                    patience = Patience(connection.retry_s)
                    for found in sending.take(response):
                        yield found
                await reading
                for found in sending.refused():
                    yield found
                return
            except grpc.RpcError as error:
                if reading.done() and reading.exception() is not None:
                    await reading
                pause_s = patience.pause_after(error)
            await asyncio.sleep(pause_s)
    finally:
        reading.cancel()


class AsyncSending:
    """Pictures on their way, kept until they are answered. As `sending.Sending`."""

    def __init__(self, in_flight: int) -> None:
        if in_flight < 1:
            raise ValueError(f"in_flight is {in_flight}; must be at least 1")
        self._room = asyncio.Semaphore(in_flight)
        self._unanswered: dict[str, _Sent] = {}
        self._refused: list[tuple[object, PictureError]] = []
        self._fresh: asyncio.Queue[str | None] = asyncio.Queue()  # ids to send; None: no more will come
        self._is_read, self._last_id = False, 0

    async def read(self, items: AsyncIterable[object] | Iterable[object]) -> None:
        """Take the caller's pictures, as many as there is room for."""
        try:
            if isinstance(items, AsyncIterable):
                async for item in items:
                    await self._put(item)
            else:
                for item in items:
                    await self._put(item)
        finally:
            self._is_read = True
            self._fresh.put_nowait(None)

    async def _put(self, item: object) -> None:
        await self._room.acquire()
        try:
            message = await asyncio.to_thread(input_of, item)
        except OSError as error:
            self._refused.append((item, unreadable(error)))
            self._room.release()
            return
        self._last_id += 1
        name = str(self._last_id)
        self._unanswered[name] = item, pb.PredictStreamRequest(item=pb.StreamItem(id=name, input=message))
        self._fresh.put_nowait(name)

    async def requests(self, settings: pb.PredictStreamRequest) -> AsyncIterator[pb.PredictStreamRequest]:
        """What one call sends: all that is unanswered, then what comes."""
        while not self._fresh.empty():
            self._fresh.get_nowait()
        names = list(self._unanswered)
        if self._is_read:
            self._fresh.put_nowait(None)
        yield settings
        for name in names:
            if name in self._unanswered:
                yield self._unanswered[name][1]
        while (fresh := await self._fresh.get()) is not None:
            yield self._unanswered[fresh][1]

    def take(self, response: pb.PredictStreamResponse) -> list[_Found]:
        """The picture that was answered, and what was found wrong here with others meanwhile."""
        sent = self._unanswered.pop(response.id, None)
        if sent is None:
            return self.refused()
        self._room.release()
        return [(sent[0], answer_of(response.result)), *self.refused()]

    def refused(self) -> list[_Found]:
        """Pictures that could not be sent."""
        found, self._refused = self._refused, []
        return list(found)
