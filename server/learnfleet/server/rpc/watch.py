"""Watching jobs: their events as they come, to any number of watchers."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator

from learnfleet.server import names
from learnfleet.server.errors import Draining, FieldViolation, InvalidArgument
from learnfleet.server.long_calls import LongCalls
from learnfleet.server.rpc.batches import Batches
from learnfleet.server.rpc.hub import EventHub
from learnfleet.server.store.base import Store
from learnfleet.v1 import job_service_pb2 as pb

_READERS = 2

_log = logging.getLogger(__name__)


class Watch:
    """`WatchJob`. A watcher is a place in a job's log: what lies there is read and encoded once for all of them.

    gRPC's flow control holds a slow one back at its `yield`, with one batch on its way and nothing queued.
    """

    # How soon events are seen that another process has appended: they come with no wake-up here.
    POLL_S = 0.5

    def __init__(self, store: Store, hub: EventHub) -> None:
        self._store, self._hub = store, hub
        # Threads of its own: hundreds of watchers must not hold up GetJob and Train.
        self._calls = LongCalls("watch", _READERS)
        self._batches = Batches(store, self._calls)
        self._polling: asyncio.Task[None] | None = None

    async def messages(self, request: pb.WatchJobRequest) -> AsyncGenerator[bytes, None]:
        """Encoded WatchJobResponses, to the end of the job. Raises NotFound, InvalidArgument.

        Raises Draining as the server stops, so that a watcher goes on at the next one without waiting for anything.
        """
        job_id = names.parse_job(request.name)
        place = request.after_sequence
        if place < 0:
            raise InvalidArgument([FieldViolation("after_sequence", f"is {place}; must be 0 or greater")])
        try:
            with self._hub.watching(job_id):
                self._polling = self._polling or asyncio.create_task(self._poll())
                is_end = False
                while not is_end:
                    if self._hub.is_closed:
                        told = f"the server is stopping; watch again, after_sequence {place}"
                        raise Draining(told, {"after_sequence": str(place)})
                    ticket = self._hub.ticket(job_id)
                    batch = await self._batches.after(job_id, place, ticket)
                    place, is_end = batch.last, batch.is_end
                    if batch.message:
                        yield batch.message
                    elif not is_end:
                        await ticket.wait()
        finally:
            self._tidy(job_id)

    def _tidy(self, job_id: str) -> None:
        """Keep nothing for watchers who have gone."""
        if not self._hub.watchers(job_id):
            self._batches.drop(job_id)
        if self._polling is not None and not self._hub.watched():
            self._polling.cancel()
            self._polling = None

    async def _poll(self) -> None:
        """Look for events of all watched jobs that nobody has told this process of, with one query for all."""
        known: dict[str, int] = {}
        is_blind = False
        while True:
            await asyncio.sleep(self.POLL_S)
            watched = self._hub.watched()
            try:
                now = await self._calls.run(self._store.last_sequences, watched)
            except Exception:
                if not is_blind:
                    _log.warning("watched jobs cannot be looked at; trying again", exc_info=True)
                is_blind = True
                continue
            is_blind = False
            for job_id in watched:
                if job_id not in known or now.get(job_id) != known[job_id]:  # deleted ones have none
                    self._hub.notify(job_id)
            known = now
