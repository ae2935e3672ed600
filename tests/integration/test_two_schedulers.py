"""Two servers on one PostgreSQL, without RPCs and with fake workers: exactly one of them schedules."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.postgres import PostgresServer
from support.quiet_server import TIMEOUT_S, CutOffStore, QuietServer, until

from learnfleet.server.domain import JobState, Wanted
from learnfleet.server.store.base import Store
from learnfleet.server.store.lease import SCHEDULER


@pytest.fixture
def is_fenced() -> bool:
    return True


@pytest.fixture
def servers(
    postgres: PostgresServer, tmp_path: Path, is_fenced: bool, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[QuietServer, QuietServer]]:
    """The first schedules."""
    monkeypatch.setattr(CutOffStore, "is_fenced", is_fenced)
    url = postgres.new_schema()
    one = QuietServer("one", tmp_path, url)
    until(one.leads)
    two = QuietServer("two", tmp_path, url)
    yield one, two
    for server in (one, two):
        server.recover()
        server.runtime.stop()
        server.store.close()


def test_a_job_that_one_server_takes_is_run_by_the_one_that_schedules(servers: tuple[QuietServer, QuietServer]) -> None:
    one, two = servers
    two.queue("job")
    assert one.cluster.started.wait(TIMEOUT_S)
    until(lambda: two.is_warm("job"))
    one.cluster.finishes.set()
    until(lambda: two.store.get_job("job").state is JobState.SUCCEEDED)
    assert two.cluster.groups == []
    assert "job" in two.heard  # its watchers there need not wait


def test_a_job_is_cancelled_through_a_server_that_does_not_schedule(servers: tuple[QuietServer, QuietServer]) -> None:
    one, two = servers
    two.queue("job")
    assert one.cluster.started.wait(TIMEOUT_S)
    asyncio.run(two.runtime.ask("job", Wanted.CANCEL))
    until(lambda: two.store.get_job("job").state is JobState.CANCELLED)


def test_workers_are_given_up_through_a_server_that_does_not_schedule(servers: tuple[QuietServer, QuietServer]) -> None:
    one, two = servers
    one.cluster.finishes.set()
    two.queue("job")
    until(lambda: two.store.get_job("job").state is JobState.SUCCEEDED)

    def is_released() -> bool:
        asyncio.run(two.runtime.release_workers("job"))  # nothing happens while they are at work
        return not two.is_warm("job")

    until(is_released)
    assert not one.cluster.groups[0].is_alive


def test_when_the_one_that_schedules_is_cut_off_the_other_goes_on_and_the_first_changes_nothing_more(
    servers: tuple[QuietServer, QuietServer],
) -> None:
    one, two = servers
    one.queue("job")
    until(lambda: one.store.get_job("job").state is JobState.RUNNING)
    one.store.is_away.set()
    until(two.leads)
    until(lambda: two.store.get_job("job").attempt == 2)
    one.cluster.finishes.set()  # what its workers have done is not the job's any more
    one.store.is_away.clear()
    until(lambda: not one.cluster.groups[0].is_alive)
    assert two.store.get_job("job").attempt == 2
    two.cluster.finishes.set()
    until(lambda: two.store.get_job("job").state is JobState.SUCCEEDED)
    events = two.store.read_events("job", 0)
    states = [stored.event.data["state"] for stored in events if stored.event.kind == "state"]
    assert states == ["queued", "starting", "running", "restarting", "starting", "running", "succeeded"]
    assert [stored.sequence for stored in events] == list(range(1, len(events) + 1))


def has_controller_of(job_id: str, servers: int) -> bool:
    """Whether more threads than those of so many servers run a job."""
    return sum(thread.name == f"job-{job_id}" for thread in threading.enumerate()) > servers


def stale_events(store: Store, job_id: str) -> list[str]:
    """Those that an attempt has told of after the next had begun."""
    newest, stale = 0, []
    for stored in store.read_events(job_id, 0):
        newest = max(newest, stored.event.attempt)
        if stored.event.attempt < newest:
            stale.append(stored.event.id)
    return stale


@pytest.mark.parametrize("is_fenced", [True, False], ids=["fenced", "with a planted fault"])
def test_what_a_server_still_writes_that_does_not_know_it_is_deposed_is_refused(
    is_fenced: bool, servers: tuple[QuietServer, QuietServer]
) -> None:
    one, two = servers
    one.queue("job")
    until(lambda: one.store.get_job("job").state is JobState.RUNNING)
    one.store.is_asleep.set()
    until(two.leads)
    until(lambda: two.store.get_job("job").attempt == 2)
    until(lambda: two.store.get_job("job").state is JobState.RUNNING)
    one.cluster.finishes.set()
    if is_fenced:
        until(lambda: not has_controller_of("job", servers=1))
        assert two.store.get_job("job").state is JobState.RUNNING
        two.cluster.finishes.set()
        until(lambda: two.store.get_job("job").state is JobState.SUCCEEDED)
        assert stale_events(two.store, "job") == []
    else:
        until(lambda: two.store.get_job("job").state is JobState.SUCCEEDED)
        assert stale_events(two.store, "job") == ["end/1"]


def test_a_server_that_was_cut_off_alone_goes_on_with_the_workers_it_has(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    one = QuietServer("one", tmp_path, postgres.new_schema())
    one.queue("job")
    until(lambda: one.store.get_job("job").state is JobState.RUNNING)
    lease = one.store.get_lease(SCHEDULER)
    one.store.is_away.set()
    until(one.has_stepped_down)
    one.store.is_away.clear()
    until(lambda: one.store.get_lease(SCHEDULER).term > lease.term)  # type: ignore[union-attr]
    one.cluster.finishes.set()
    until(lambda: one.store.get_job("job").state is JobState.SUCCEEDED)
    assert (one.store.get_job("job").attempt, len(one.cluster.groups)) == (1, 1)
    one.runtime.stop()
    one.store.close()


def test_a_server_that_is_stopped_in_order_gives_the_lease_back(servers: tuple[QuietServer, QuietServer]) -> None:
    one, two = servers
    one.runtime.stop()
    lease = two.store.get_lease(SCHEDULER)
    assert lease is not None
    assert lease.holder in (None, "two")
    until(two.leads)
