"""Failpoints: what the environment may ask for, and what then happens."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from learnfleet.server import failpoints
from learnfleet.server.failpoints import InjectedFault, UnknownFailpoint, fp, parse


def armed(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failpoints, "_armed", parse(text))


def test_a_failpoint_that_nobody_asked_for_does_nothing() -> None:
    for name in failpoints.names():
        fp(name)


def test_an_error_is_raised_at_each_hit_or_at_the_one_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    armed("export.made=err, mlflow.sent=err:2", monkeypatch)
    for _ in range(2):
        with pytest.raises(InjectedFault, match="failpoint"):
            fp("export.made")
    fp("mlflow.sent")
    with pytest.raises(InjectedFault):
        fp("mlflow.sent")
    fp("mlflow.sent")


def test_a_write_fails_before_it_is_made_or_after(monkeypatch: pytest.MonkeyPatch) -> None:
    armed("store.create_job=err,store.put_group=exec_then_err", monkeypatch)
    with pytest.raises(InjectedFault):
        fp("store.create_job.before")
    fp("store.create_job.after")
    fp("store.put_group.before")
    with pytest.raises(InjectedFault):
        fp("store.put_group.after")


def test_slow_takes_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    naps: list[float] = []
    monkeypatch.setattr(time, "sleep", naps.append)
    armed("job.done=slow:0.5", monkeypatch)
    fp("job.done")
    assert naps == [0.5]


@pytest.mark.parametrize("text", ["nothing.here=kill", "job.done=stumble", "job.done=kill:often", "job.done"])
def test_what_is_not_there_is_named(text: str) -> None:
    with pytest.raises(UnknownFailpoint, match=text.split("=")[0]):
        parse(text)


def test_a_process_kills_itself_at_the_hit_asked_for() -> None:
    code = "from learnfleet.server.failpoints import fp\nfor n in range(5):\n  print(n, flush=True)\n  fp('job.done')"
    environment = {**os.environ, failpoints.VARIABLE: "job.done=kill:3", "PYTHONPATH": os.pathsep.join(sys.path)}
    ended = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60)
    assert ended.returncode == -signal.SIGKILL
    assert ended.stdout.split() == ["0", "1", "2"]
