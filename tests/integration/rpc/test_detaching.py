"""Ctrl-C in a script that follows a job: a real SIGINT to a real process."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest
from support.rpc_server import RunningServer

from learnfleet.client.client import Client
from learnfleet.client.detached import Detached
from learnfleet.client.events import Event
from learnfleet.server import names
from learnfleet.server.domain import JobState, NewEvent
from learnfleet.v1 import training_service_pb2

Make = Callable[..., training_service_pb2.TrainRequest]

FOLLOW = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # tests in the background are started with it ignored
from learnfleet.client import *
default_client().job({job!r}).follow()
print('never said')
"""


def an_epoch() -> NewEvent:
    data = {"stage": 0, "epoch": 0, "step": 1, "train_loss": 1.5, "valid_loss": None, "time_s": 1.0, "metrics": {}}
    return NewEvent("epoch/0", "epoch", data, datetime.now(UTC), 1)


def interrupted(script: subprocess.Popen[str]) -> tuple[str, str]:
    """What it has said, after as many interrupts as it takes: Python drops one that comes inside a callback."""
    for _ in range(12):
        script.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            return script.communicate(timeout=5)
    script.kill()
    raise AssertionError("the script goes on after twelve interrupts")


def test_an_interrupt_leaves_the_job_running_and_says_how_to_see_and_stop_it(
    server: RunningServer, a_request: Make
) -> None:
    job = server.training.Train(a_request(), timeout=20).name
    for state in (JobState.STARTING, JobState.RUNNING):
        server.store.transition(names.parse_job(job), state)
    server.store.append_events(names.parse_job(job), [an_epoch()])
    environment = {**os.environ, "LEARNFLEET_ADDRESS": server.address}
    command = [sys.executable, "-c", FOLLOW.format(job=job)]
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as script:
        assert script.stdout is not None
        header = script.stdout.readline()  # it is at it
        out, told = interrupted(script)
    assert header.split() == ["epoch", "train_loss", "time"]
    assert "never said" not in out
    assert script.returncode != 0
    last_line = told.strip().splitlines()[-1]
    assert last_line.startswith(f"learnfleet.client.detached.Detached: {job} goes on.")
    assert f"learnfleet watch {job}" in last_line
    assert f"learnfleet cancel {job}" in last_line
    with Client.connect(server.address) as client:
        assert client.job(job).state == "RUNNING"


def test_an_interrupt_of_a_wait_detaches_too(
    server: RunningServer, a_request: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Client.connect(server.address) as client:
        job = client.job(server.training.Train(a_request(), timeout=20).name)
        monkeypatch.setattr(job, "watch", lambda after: raise_interrupt())
        with pytest.raises(Detached, match=f"{job.name} goes on"):
            job.wait()
        assert job.refresh().state == "QUEUED"


def raise_interrupt() -> Iterator[Event]:
    raise KeyboardInterrupt
