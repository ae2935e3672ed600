"""Clients that vanish, and a clock that jumps: the server forgets the ones and does not believe the other."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.faults.campaign import SEED, Disturbed, play, progressed, wait_until
from support.faults.load import Load
from support.faults.scenes import ENDLESS, LEARNER, Scene, cancelled, everyday

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

CLIENTS, WATCHES = 5, 20  # processes, and streams of each
_SLACK = 3  # files that the server may have opened for itself meanwhile
_QUIET_S = 3.0  # until it has closed what the first clients had

_WATCHERS = """
import sys, threading
from learnfleet.client import Client
job = Client.connect(sys.argv[1]).job(sys.argv[2])
first = threading.Barrier(int(sys.argv[3]) + 1)
def watch():
    for nth, event in enumerate(job.watch()):
        if nth == 0:
            first.wait()
for _ in range(int(sys.argv[3])):
    threading.Thread(target=watch, daemon=True).start()
first.wait()
print("watching", flush=True)
threading.Event().wait()
"""


def files_left_open(disturbed: Disturbed, within_s: float) -> int:
    """How many the server has more than before clients came that were killed in mid-stream, so long after."""
    if not disturbed.server.runs:
        disturbed.server.start()
    load = Load(disturbed.server.address, disturbed.server.data_dir, SEED)
    job = load.train(LEARNER, ENDLESS)
    load.until(job, lambda found: found.progress.epoch >= 1, "the second epoch")
    come_and_go(disturbed, job)  # many readers at a time open connections to the database, and some are kept
    wait_until(lambda: False, _QUIET_S)
    before = disturbed.server.open_files()
    most = come_and_go(disturbed, job)
    assert most >= before + CLIENTS
    wait_until(lambda: disturbed.server.open_files() <= before + _SLACK, within_s)
    left = disturbed.server.open_files() - before
    load.cancel(job)
    load.until_state(job, "cancelled")
    load.close()
    return left


def come_and_go(disturbed: Disturbed, job: str) -> int:
    """Clients watch and are killed; how many files the server had meanwhile."""
    tests = str(Path(__file__).parents[1])
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([*sys.path, tests])}
    command = [sys.executable, "-c", _WATCHERS, disturbed.server.address, job, str(WATCHES)]
    clients = [subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) for _ in range(CLIENTS)]
    for client in clients:
        assert client.stdout is not None
        assert client.stdout.readline() == b"watching\n"
    most = disturbed.server.open_files()
    for client in clients:
        client.kill()
        client.wait()
    return most


def test_clients_that_are_killed_in_mid_stream_leave_nothing_open_in_the_server(disturbed: Disturbed) -> None:
    assert files_left_open(disturbed, within_s=30) <= _SLACK


@pytest.fixture
def strange(lightly_disturbed: Disturbed) -> Iterator[Disturbed]:
    """With a planted bug or a strange machine, and without again afterwards."""
    yield lightly_disturbed
    lightly_disturbed.server.sabotage = ""
    lightly_disturbed.server.kill()


def test_a_server_that_forgets_clients_that_are_gone_is_found(strange: Disturbed) -> None:
    strange.server.kill()
    strange.server.sabotage = "forgets_clients_that_are_gone"
    assert files_left_open(strange, within_s=3) >= CLIENTS * WATCHES


@pytest.mark.parametrize("scene", [everyday, cancelled])
def test_jobs_of_light_workers_end_in_order_while_the_servers_clock_jumps_by_years(
    scene: Scene, strange: Disturbed
) -> None:
    run = play(strange, "", scene, SEED, sabotage="wall_clock_jumps")
    assert not run.wrong, str(run)
    assert progressed(run.history)


def test_a_server_that_believes_its_clock_is_found(strange: Disturbed) -> None:
    run = play(strange, "", everyday, SEED, patience_s=60, sabotage="believes_a_clock_that_jumps")
    assert "watchers_see_every_event_once" in run.wrong, str(run) or "nothing was found wrong"
