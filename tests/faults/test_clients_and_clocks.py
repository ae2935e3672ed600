"""Clients that vanish, and a clock that jumps: the server forgets the ones and does not believe the other."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.faults.campaign import SEED, Disturbed, play, progressed, wait_until
from support.faults.load import Load
from support.faults.scenes import ENDLESS, LEARNER, Scene, cancelled, everyday

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

CLIENTS, WATCHES = 5, 20  # processes, and streams of each
_SLACK = 3  # files that the server may have opened for itself meanwhile

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


def test_clients_that_are_killed_in_mid_stream_leave_nothing_open_in_the_server(disturbed: Disturbed) -> None:
    if not disturbed.server.runs:
        disturbed.server.start()
    load = Load(disturbed.server.address, disturbed.server.data_dir, SEED)
    job = load.train(LEARNER, ENDLESS)
    load.until(job, lambda found: found.progress.epoch >= 1, "the second epoch")
    before = disturbed.server.open_files()
    tests = str(Path(__file__).parents[1])
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([*sys.path, tests])}
    command = [sys.executable, "-c", _WATCHERS, disturbed.server.address, job, str(WATCHES)]
    clients = [subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) for _ in range(CLIENTS)]
    for client in clients:
        assert client.stdout is not None
        assert client.stdout.readline() == b"watching\n"
    assert disturbed.server.open_files() >= before + CLIENTS
    for client in clients:
        client.kill()
        client.wait()
    assert wait_until(lambda: disturbed.server.open_files() <= before + _SLACK, 30)
    load.cancel(job)
    load.until_state(job, "cancelled")
    load.close()


@pytest.mark.parametrize("scene", [everyday, cancelled])
def test_jobs_of_light_workers_end_in_order_while_the_servers_clock_jumps_by_years(
    scene: Scene, lightly_disturbed: Disturbed
) -> None:
    try:
        run = play(lightly_disturbed, "", scene, SEED, sabotage="wall_clock_jumps")
    finally:
        lightly_disturbed.server.sabotage = ""
        lightly_disturbed.server.kill()
    assert not run.wrong, str(run)
    assert progressed(run.history)
