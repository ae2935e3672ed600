"""Reading a job's log once for many watchers."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.logged_jobs import put_job, write_log

from learnfleet.server.config import Config
from learnfleet.server.errors import NotFound
from learnfleet.server.long_calls import LongCalls
from learnfleet.server.rpc.batches import Batches
from learnfleet.server.store.base import LogPage
from learnfleet.server.store.sql import SqlStore
from learnfleet.v1 import job_service_pb2

TOTAL = 1000
TIMEOUT_S = 20


class CountedStore(SqlStore):
    """Counts reads of logs, and holds one back after it has read when told to."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.reads = 0
        self.has_read, self.may_answer = threading.Event(), threading.Event()
        self.may_answer.set()

    def read_log(self, job_id: str, after: int, limit: int) -> LogPage:
        page = super().read_log(job_id, after, limit)
        self.reads += 1
        self.has_read.set()
        assert self.may_answer.wait(TIMEOUT_S)
        return page


@pytest.fixture
def store(tmp_path: Path) -> Iterator[CountedStore]:
    store = CountedStore(Config(tmp_path).store_url)
    put_job(store, "one")
    yield store
    store.close()


async def read_all(batches: Batches, job_id: str = "one", place: int = 0) -> list[int]:
    """Sequence numbers to the end of the log."""
    found: list[int] = []
    while True:
        batch = await batches.after(job_id, place, None)
        answer = job_service_pb2.WatchJobResponse.FromString(batch.message)
        found += [event.sequence for event in answer.events]
        place = batch.last
        if batch.is_end:
            return found


def test_those_who_began_at_different_places_come_to_share_batches(store: CountedStore) -> None:
    write_log(store, ["one"], TOTAL, lambda _: None)

    async def main() -> None:
        batches = Batches(store, LongCalls("test", 1))
        assert await read_all(batches) == list(range(1, TOTAL + 1))
        before = store.reads
        assert await read_all(batches, place=100) == list(range(101, TOTAL + 1))
        assert store.reads == before + 1  # up to the first border

    asyncio.run(main())


def test_what_is_kept_is_bounded_and_read_anew_when_it_has_gone(store: CountedStore) -> None:
    write_log(store, ["one"], TOTAL, lambda _: None)

    async def main() -> None:
        batches = Batches(store, LongCalls("test", 1), kept_bytes=20_000)
        first = await read_all(batches)
        before = store.reads
        assert await read_all(batches) == first
        assert store.reads > before

    asyncio.run(main())


def test_a_read_that_began_before_a_notification_does_not_hide_what_came_with_it(store: CountedStore) -> None:
    async def main() -> None:
        batches = Batches(store, LongCalls("test", 2))
        store.may_answer.clear()
        early = asyncio.create_task(batches.after("one", 1, "before"))
        await asyncio.to_thread(store.has_read.wait, TIMEOUT_S)
        await asyncio.to_thread(write_log, store, ["one"], 3, lambda _: None)
        late = asyncio.create_task(batches.after("one", 1, "after"))
        store.may_answer.set()
        assert (await early).message == b""
        assert (await late).last == 3

    asyncio.run(main())


def test_a_watcher_that_leaves_in_the_middle_of_a_read_takes_it_from_nobody(store: CountedStore) -> None:
    write_log(store, ["one"], 10, lambda _: None)

    async def main() -> None:
        batches = Batches(store, LongCalls("test", 1))
        store.may_answer.clear()
        leaving, staying = (asyncio.create_task(batches.after("one", 0, None)) for _ in range(2))
        await asyncio.to_thread(store.has_read.wait, TIMEOUT_S)
        leaving.cancel()
        store.may_answer.set()
        assert (await staying).last == 10
        assert store.reads == 1

    asyncio.run(main())


def test_a_job_that_does_not_exist_is_not_found_by_all_who_wait(store: CountedStore) -> None:
    async def main() -> None:
        batches = Batches(store, LongCalls("test", 1))
        answers = await asyncio.gather(*(batches.after("two", 0, None) for _ in range(3)), return_exceptions=True)
        assert all(isinstance(answer, NotFound) for answer in answers)

    asyncio.run(main())
