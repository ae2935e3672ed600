"""Two servers on one PostgreSQL that take the scheduling from each other again and again, under a queue of jobs."""

from __future__ import annotations

import random
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from support.faults.history import Ended, History, Seen, Submit
from support.faults.validators import violations
from support.postgres import PostgresServer
from support.quiet_server import CutOffStore, QuietServer, until

from learnfleet.server.domain import StoredEvent
from learnfleet.server.errors import StoreUnavailable
from learnfleet.server.store.base import Page

CHANGES = 8
JOBS_A_CHANGE = 5


@dataclass
class Contest:
    """Who leads is disturbed, the other takes over; jobs are asked for at both of them all the while."""

    servers: tuple[QuietServer, QuietServer]
    seed: int
    faults: tuple[str, ...] = ("is_away", "is_asleep")
    history: History = field(default_factory=History)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        self._names: list[str] = []

    def run(self) -> None:
        for _ in range(CHANGES):
            leader, other = self.servers if self.servers[0].leads() else self.servers[::-1]
            self._submit(JOBS_A_CHANGE)
            self._end_some(*self.servers)
            other.cluster.started.clear()
            fault = getattr(leader.store, self._random.choice(self.faults))
            fault.set()
            self._submit(JOBS_A_CHANGE)
            until(lambda other=other: other.leads() and other.cluster.started.is_set())
            self._end_some(leader)
            self._end_some(*self.servers)
            fault.clear()
        for server in self.servers:
            server.cluster.finishes.set()
        store = self.servers[0].store
        until(lambda: not store.unfinished_jobs())
        self.history.ended = [self._ended(name) for name in self._names]
        self.history.listed = [f"jobs/{job.id}" for job in store.list_jobs(Page(10_000))[0]]

    def _submit(self, count: int) -> None:
        for _ in range(count):
            request_id, name = str(uuid.uuid4()), f"job-{len(self._names)}"
            self._names.append(name)
            job = None
            while job is None:
                try:
                    job = f"jobs/{self._random.choice(self.servers).queue(name, request_id).id}"
                except StoreUnavailable:
                    self.history.add(Submit(request_id, None))
            self.history.add(Submit(request_id, job))

    def _end_some(self, *servers: QuietServer) -> None:
        """A part of the jobs is done as far as the workers of these servers go."""
        for name in self._random.sample(self._names, len(self._names) // 2):
            for server in servers:
                server.cluster.finished.add(name)

    def _ended(self, job_id: str) -> Ended:
        store = self.servers[0].store
        job = store.get_job(job_id)
        events = tuple(_seen(stored) for stored in store.read_events(job_id, 0, 10_000))
        return Ended(f"jobs/{job_id}", job.request_id or "", str(job.state), job.attempt, events)


def _seen(stored: StoredEvent) -> Seen:
    event = stored.event
    state = event.data["state"] if event.kind == "state" else ""
    return Seen(stored.sequence, event.kind, repr(event).encode(), state, event.attempt)


@pytest.fixture
def is_fenced() -> bool:
    return True


@pytest.fixture
def contest(
    postgres: PostgresServer, tmp_path: Path, is_fenced: bool, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Contest]:
    monkeypatch.setattr(CutOffStore, "is_fenced", is_fenced)
    url = postgres.new_schema()
    servers = QuietServer("one", tmp_path, url), QuietServer("two", tmp_path, url)
    until(lambda: any(server.leads() for server in servers))
    seed = random.randrange(10**6)
    print(f"seed {seed}")  # noqa: T201
    yield Contest(servers, seed)
    for server in servers:
        server.recover()
        server.runtime.stop()
        server.store.close()


def stale_events(history: History) -> list[str]:
    """What an attempt has told after the next had begun, or after the job had ended."""
    stale = []
    for item in history.ended:
        newest, is_over = 0, False
        for event in item.events:
            newest = max(newest, event.attempt)
            if event.attempt < newest or is_over:
                stale.append(f"{item.job}: event {event.sequence}")
            is_over = is_over or event.state in ("succeeded", "failed", "cancelled")
    return stale


@pytest.mark.slow
def test_no_job_is_lost_or_run_twice_however_often_the_scheduling_changes_hands(contest: Contest) -> None:
    contest.run()
    assert violations(contest.history) == {}
    assert stale_events(contest.history) == []
    assert {item.state for item in contest.history.ended} == {"succeeded"}


@pytest.mark.slow
@pytest.mark.parametrize("is_fenced", [False])
def test_without_the_fence_the_same_contest_finds_jobs_that_two_servers_have_written(
    contest: Contest, is_fenced: bool
) -> None:
    contest.faults = ("is_asleep",)
    contest.run()
    assert stale_events(contest.history) or violations(contest.history)
