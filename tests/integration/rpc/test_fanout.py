"""Many watchers of several jobs: each is given every event once and in order, whatever the others do."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from support.logged_jobs import put_job, write_log
from support.rpc_server import RunningServer
from support.watchers import Crowd, faults_text, watch_all

from learnfleet.server.rpc.batches import Batch, Batches
from learnfleet.server.store.base import LogPage
from learnfleet.server.store.sql import SqlStore

TOTAL = 1500  # events of a job
IDS = ("one", "two", "three", "four")
CROWD = Crowd(watchers=20, reconnecting=0.4, silent=5)


def watched(server: RunningServer, crowd: Crowd, ids: tuple[str, ...] = IDS) -> list[str]:
    """Write the jobs' logs while the crowd watches; what was found wrong."""
    jobs = {put_job(server.store, job_id): TOTAL for job_id in ids}
    with ThreadPoolExecutor(1) as writing:
        written = writing.submit(write_log, server.store, list(ids), TOTAL, server.notify)
        faults = asyncio.run(watch_all(server.address, jobs, crowd))
        written.result()
    return faults


def test_every_watcher_is_given_every_event_once_and_in_order(server: RunningServer) -> None:
    """Also those that break off and go on where they were, and beside some that never read."""
    faults = watched(server, CROWD)
    assert not faults, faults_text(faults)


def _repeated(batch: Batch, before: Batch) -> Batch:
    return Batch(batch.last, before.message + batch.message, batch.is_end)


def _left_out(batch: Batch, before: Batch) -> Batch:
    return Batch(batch.last, b"", batch.is_end)


def _of_another_job(batch: Batch, before: Batch) -> Batch:
    return Batch(batch.last, batch.message.replace(b"jobs/one", b"jobs/two"), batch.is_end)


@pytest.mark.parametrize("spoil", [_repeated, _left_out, _of_another_job])
def test_the_check_finds_a_planted_fault(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch, spoil: Callable[[Batch, Batch], Batch]
) -> None:
    right, before = Batches.after, dict[str, Batch]()

    async def after(self: Batches, job_id: str, place: int, ticket: object) -> Batch:
        batch = await right(self, job_id, place, ticket)
        known = before.get(job_id)
        if batch.message:
            before[job_id] = batch
        return spoil(batch, known) if known and known.message and place >= TOTAL // 2 and batch.message else batch

    monkeypatch.setattr(Batches, "after", after)
    faults = watched(server, Crowd(watchers=2), ids=("one",))
    assert faults


def test_watchers_of_a_job_share_what_is_read_of_it(server: RunningServer, monkeypatch: pytest.MonkeyPatch) -> None:
    name = put_job(server.store, "one")
    write_log(server.store, ["one"], TOTAL, server.notify)
    reads: list[int] = []
    right = SqlStore.read_log

    def read_log(self: SqlStore, job_id: str, after: int, limit: int) -> LogPage:
        reads.append(after)
        return right(self, job_id, after, limit)

    monkeypatch.setattr(SqlStore, "read_log", read_log)
    assert not asyncio.run(watch_all(server.address, {name: TOTAL}, Crowd(watchers=20)))
    assert len(reads) < 20  # 6 if all of them come before the first has gone


def _until(holds: Callable[[], bool]) -> None:
    for _ in range(2000):
        if holds():
            return
        time.sleep(0.01)
    raise AssertionError("it did not come about")


def test_hundreds_watch_on_one_connection(server: RunningServer) -> None:
    """All 300 are open at a time on one connection: gRPC's usual limit is 100, beyond which calls wait unseen."""
    name = put_job(server.store, "one")
    crowd = Crowd(watchers=300, channels=1)

    async def main() -> list[str]:
        watching = asyncio.create_task(watch_all(server.address, {name: 100}, crowd))
        await asyncio.to_thread(_until, lambda: server.hub.watchers("one") == crowd.watchers)
        await asyncio.to_thread(write_log, server.store, ["one"], 100, server.notify)
        return await watching

    assert not asyncio.run(main())
