"""A job's events in batches, read and encoded once for all who watch it."""

from __future__ import annotations

import asyncio
import contextlib
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from learnfleet.server.domain import StoredEvent
from learnfleet.server.long_calls import LongCalls
from learnfleet.server.rpc.write_job import event_to_proto
from learnfleet.server.store.base import Store
from learnfleet.v1 import job_service_pb2 as pb

# Batches end at multiples of this, so that watchers who began at different places come to share them.
_EVENTS = 256
_BYTES = 16 * 1024  # each of hundreds of slow watchers may have one on its way
_KEPT_BYTES = 8 * 1024 * 1024


@dataclass(frozen=True)
class Batch:
    """Consecutive events as an encoded WatchJobResponse."""

    last: int  # sequence number of the last one, or the place they were asked for after if there are none
    message: bytes
    is_end: bool  # the job is over and has no further ones


class Batches:
    """Reads what comes after a place in a job's log, once for all who ask for it at the same time or soon after.

    Holds at most a fixed number of bytes, whoever watches what. From the event loop's thread.
    """

    def __init__(self, store: Store, calls: LongCalls, kept_bytes: int = _KEPT_BYTES) -> None:
        self._store, self._calls, self._kept_bytes = store, calls, kept_bytes
        self._kept: OrderedDict[tuple[str, int], Batch] = OrderedDict()
        self._size = 0
        self._reading: dict[tuple[str, int, object], asyncio.Task[Batch]] = {}

    async def after(self, job_id: str, place: int, ticket: object) -> Batch:
        """The next events after `place`, none if there are none yet. Raises NotFound.

        `ticket` tells times apart: what was begun to be read before a notification says nothing of what came with it.
        """
        kept = self._kept.get((job_id, place))
        if kept is not None:
            self._kept.move_to_end((job_id, place))
            return kept
        key = job_id, place, ticket
        reading = self._reading.get(key)
        if reading is None:
            reading = self._reading[key] = asyncio.create_task(self._read(job_id, place))
            reading.add_done_callback(lambda task: self._is_read(key, task))
        return await asyncio.shield(reading)  # others wait for it too, whatever becomes of this one

    def drop(self, job_id: str) -> None:
        """Forget a job that nobody watches any more."""
        for key in [key for key in self._kept if key[0] == job_id]:
            self._size -= len(self._kept.pop(key).message)

    async def _read(self, job_id: str, place: int) -> Batch:
        batches = await self._calls.run(self._read_and_encode, job_id, place)
        start = place
        for batch in batches:
            if batch.message:
                self._keep((job_id, start), batch)
            start = batch.last
        return batches[0]

    def _read_and_encode(self, job_id: str, place: int) -> list[Batch]:
        log = self._store.read_log(job_id, place, _EVENTS - place % _EVENTS)
        batches = list(_encoded(log.events, is_over=log.is_over))
        return batches or [Batch(place, b"", log.is_over)]

    def _keep(self, key: tuple[str, int], batch: Batch) -> None:
        known = self._kept.pop(key, None)
        self._size += len(batch.message) - (len(known.message) if known else 0)
        self._kept[key] = batch
        while self._size > self._kept_bytes:
            _, oldest = self._kept.popitem(last=False)
            self._size -= len(oldest.message)

    def _is_read(self, key: tuple[str, int, object], task: asyncio.Task[Batch]) -> None:
        del self._reading[key]
        with contextlib.suppress(asyncio.CancelledError):
            task.exception()  # those who waited for it may all be gone


def _encoded(events: Sequence[StoredEvent], *, is_over: bool) -> Iterator[Batch]:
    parts: list[bytes] = []
    size = 0
    for number, stored in enumerate(events, start=1):
        # Messages of one event each, laid end to end, are by protobuf's rules the message with all of them.
        part = pb.WatchJobResponse(events=[event_to_proto(stored)]).SerializeToString()
        parts.append(part)
        size += len(part)
        if size >= _BYTES or number == len(events):
            yield Batch(stored.sequence, b"".join(parts), is_over and number == len(events))
            parts, size = [], 0
