"""A server is killed around a transaction on PostgreSQL: another finds all of it done or nothing, and goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from support.postgres import PostgresServer
from support.quiet_server import TIMEOUT_S, QuietServer, until

from learnfleet.server.domain import TRANSITIONS, JobState
from learnfleet.server.failpoints import VARIABLE


@pytest.fixture
def url(postgres: PostgresServer) -> str:
    return postgres.new_schema()


@pytest.fixture
def doomed(url: str, failpoint: str, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A server that schedules, and kills itself at the failpoint."""
    environment = {**os.environ, VARIABLE: f"{failpoint}=kill", "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-m", "support.quiet_process", url, str(tmp_path)]
    process = subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "leads\n"
    yield process
    process.kill()
    process.communicate()


@pytest.fixture
def other(url: str, tmp_path: Path) -> Iterator[QuietServer]:
    server = QuietServer("two", tmp_path, url)
    server.cluster.finishes.set()
    yield server
    server.runtime.stop()
    server.store.close()


@pytest.mark.parametrize(
    "failpoint",
    [
        "store.append_events.after",
        "store.transition.succeeded.before",
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in (
                "store.next_generation.after",
                "store.put_group.after",
                "store.transition.starting.before",
                "store.transition.starting.after",
                "store.transition.running.after",
                "store.append_events.before",
                "store.transition.succeeded.after",
            )
        ),
    ],
)
def test_the_job_of_a_server_that_is_killed_is_ended_once_by_another(
    doomed: subprocess.Popen[str], other: QuietServer
) -> None:
    other.queue("job")
    assert doomed.wait(TIMEOUT_S) == -signal.SIGKILL
    until(other.leads)
    until(lambda: other.store.get_job("job").state.final)
    events = other.store.read_events("job", 0)
    assert [stored.sequence for stored in events] == list(range(1, len(events) + 1))
    states = [JobState(stored.event.data["state"]) for stored in events if stored.event.kind == "state"]
    assert states[-1] is other.store.get_job("job").state is JobState.SUCCEEDED
    assert all(then in TRANSITIONS[now] for now, then in pairwise(states))
