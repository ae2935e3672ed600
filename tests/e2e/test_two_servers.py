"""Two control servers on one PostgreSQL: any of them answers, one schedules, and the other takes over from it."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from support.postgres import PostgresServer
from support.ray_head import Head

from learnfleet.client import Client, Event, ImageDataBunch, Job
from learnfleet.client.events import StateChanged
from learnfleet.client.results import FINAL_STATES
from learnfleet.server.commands.local_server import LocalServer, start_server, stop_server
from learnfleet.server.store.lease import SCHEDULER
from learnfleet.server.store.sql import SqlStore

EPOCHS = 3
TAKEOVER_S = 10.0


@dataclass
class Pair:
    """Servers that share a database and a data directory; the one that schedules is first."""

    url: str
    data: Path
    pictures: Path
    head: Head | None = None  # None: each has a Ray of its own
    servers: list[LocalServer] = field(default_factory=list)

    def add(self, name: str) -> LocalServer:
        options = ["--store", self.url, "--server-id", name]
        options += ["--ray-address", self.head.address] if self.head else []
        log, environment = self.data.parent / f"{name}.log", self.head.environment if self.head else {}
        server = start_server(self.data, [self.pictures], log, options=options, environment=environment)
        self.servers.append(server)
        return server

    def until_workers_have_answered(self, timeout_s: float = 120.0) -> None:
        """What they can do is kept in the data directory, where they are those of a server's own Ray."""
        until_s = time.monotonic() + timeout_s
        while self.head is None and not (self.data / "catalog.json").exists():
            assert time.monotonic() < until_s, "the workers do not say what they can do"
            time.sleep(0.05)

    def until_leads(self, name: str, timeout_s: float) -> float:
        """Seconds until this one schedules."""
        store = SqlStore(self.url)
        began_s = time.monotonic()
        try:
            while (lease := store.get_lease(SCHEDULER)) is None or lease.holder != name:
                assert time.monotonic() - began_s < timeout_s, f"{lease} after {timeout_s} s"
                time.sleep(0.05)
            return time.monotonic() - began_s
        finally:
            store.close()


@contextlib.contextmanager
def two_servers(made: Pair) -> Iterator[Pair]:
    """The first schedules."""
    try:
        made.add("one")
        made.until_leads("one", timeout_s=60)
        made.until_workers_have_answered()  # the second server then need not ask, while the first does
        made.add("two")
        yield made
    finally:
        for server in made.servers:
            stop_server(server)


@pytest.fixture
def pair(postgres: PostgresServer, tmp_path: Path, pictures: Path) -> Iterator[Pair]:
    with two_servers(Pair(postgres.new_database(), tmp_path / "data", pictures)) as made:
        yield made


@pytest.fixture
def pair_on_one_ray(postgres: PostgresServer, tmp_path: Path, pictures: Path, head: Head) -> Iterator[Pair]:
    with two_servers(Pair(postgres.new_database(), tmp_path / "data", pictures, head)) as made:
        yield made


def a_job(client: Client, name: str) -> Job:
    data = ImageDataBunch.from_folder("digits", size=32, bs=32)
    learn = client.cnn_learner(
        data, "squeezenet1_1", pretrained=False, num_workers=2, name=name, checkpoint_every_steps=2
    )
    return learn.fit_one_cycle(EPOCHS, 1e-3, wait=False)


class Watcher(threading.Thread):
    """Sees all events of a job through one server."""

    def __init__(self, job: Job) -> None:
        super().__init__(daemon=True)
        self.job, self.events = job, list[Event]()
        self.start()

    def run(self) -> None:
        for event in self.job.watch():
            self.events.append(event)


@pytest.mark.slow
def test_the_job_of_a_server_that_is_killed_goes_on_at_the_other_as_if_nothing_had_been(pair: Pair) -> None:
    one, two = pair.servers
    with Client.connect(two.address) as client:
        undisturbed = a_job(client, "undisturbed").wait().result.checkpoint
        job = a_job(client, "disturbed")
        watcher = Watcher(client.job(job.name))
        with Client.connect(one.address) as other:
            for event in other.job(job.name).watch():
                if event.kind == "batch_finished" and event.payload.epoch == 1:
                    break
        one.process.send_signal(signal.SIGKILL)
        one.process.wait()
        took_s = pair.until_leads("two", timeout_s=6 * TAKEOVER_S)
        job.wait()
        watcher.join(60)
        everything = list(job.watch())
    print(f"taken over after {took_s:.1f} s")  # noqa: T201
    assert (job.state, job.attempt) == ("SUCCEEDED", 2)
    checkpoint = job.result.checkpoint
    assert checkpoint.model_sha256 == undisturbed.model_sha256
    assert checkpoint.optimizer_sha256 == undisturbed.optimizer_sha256
    assert [event.sequence for event in watcher.events] == list(range(1, len(everything) + 1))
    assert watcher.events == everything
    assert [event.payload.epoch for event in everything if event.kind == "epoch_finished"] == list(range(EPOCHS))
    states = [event.payload.state for event in everything if isinstance(event.payload, StateChanged)]
    assert [state for state in states if state in FINAL_STATES] == ["SUCCEEDED"]


@pytest.mark.slow
def test_a_server_that_was_frozen_finds_its_job_taken_over_and_leaves_it_alone(pair: Pair) -> None:
    one, two = pair.servers
    with Client.connect(two.address) as client:
        undisturbed = a_job(client, "undisturbed").wait().result.checkpoint
        job = a_job(client, "frozen")
        for event in job.watch():
            if event.kind == "batch_finished" and event.payload.epoch == 1:
                break
        one.process.send_signal(signal.SIGSTOP)  # its workers train on
        try:
            pair.until_leads("two", timeout_s=6 * TAKEOVER_S)
            attempts = (event.attempt for event in job.watch() if event.kind == "state_changed")
            assert 2 in attempts
        finally:
            one.process.send_signal(signal.SIGCONT)
        until_logged(one, "this server schedules no longer")
        job.wait()
        everything = list(job.watch())
    assert (job.state, job.attempt) == ("SUCCEEDED", 2)
    assert job.result.checkpoint.model_sha256 == undisturbed.model_sha256
    assert job.result.checkpoint.optimizer_sha256 == undisturbed.optimizer_sha256
    assert [event.sequence for event in everything] == list(range(1, len(everything) + 1))
    assert [event.payload.epoch for event in everything if event.kind == "epoch_finished"] == list(range(EPOCHS))
    assert [event.attempt for event in everything] == sorted(event.attempt for event in everything)


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM], ids=["killed", "stopped"])
def test_running_workers_are_taken_over_from_a_server_on_the_same_ray(
    how: signal.Signals, pair_on_one_ray: Pair
) -> None:
    one, two = pair_on_one_ray.servers
    with Client.connect(two.address) as client:
        job = a_job(client, "kept")
        for event in job.watch():
            if event.kind == "epoch_finished":
                break
        one.process.send_signal(how)
        one.process.wait(60)
        took_s = pair_on_one_ray.until_leads("two", timeout_s=6 * TAKEOVER_S)
        job.wait()
        events = list(job.watch())
    print(f"taken over after {took_s:.1f} s")  # noqa: T201
    assert (job.state, job.attempt) == ("SUCCEEDED", 1)  # on the workers it had
    assert [event.sequence for event in events] == list(range(1, len(events) + 1))
    assert [event.payload.epoch for event in events if event.kind == "epoch_finished"] == list(range(EPOCHS))


@pytest.mark.slow
def test_when_the_database_fails_over_a_job_goes_on_with_the_workers_it_has(tmp_path: Path, pictures: Path) -> None:
    database = PostgresServer()
    database.start()
    made = Pair(database.url(), tmp_path / "data", pictures)
    try:
        server = made.add("one")
        with Client.connect(server.address) as client:
            job = a_job(client, "patient")
            watcher = Watcher(client.job(job.name))
            for event in job.watch():
                if event.kind == "batch_finished":
                    break
            database.kill()
            until_logged(server, "this server schedules no longer")
            database.start()
            job.wait()
            watcher.join(60)
            everything = list(job.watch())
    finally:
        for server in made.servers:
            stop_server(server)
        database.remove()
    assert (job.state, job.attempt) == ("SUCCEEDED", 1)
    assert watcher.events == everything
    assert [event.sequence for event in everything] == list(range(1, len(everything) + 1))
    assert [event.payload.epoch for event in everything if event.kind == "epoch_finished"] == list(range(EPOCHS))


def until_logged(server: LocalServer, words: str, timeout_s: float = 60.0) -> None:
    until_s = time.monotonic() + timeout_s
    while words not in server.log.read_text():
        assert time.monotonic() < until_s, f"no '{words}' in {server.log}"
        time.sleep(0.05)
