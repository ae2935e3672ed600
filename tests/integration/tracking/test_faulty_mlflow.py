"""T5 of the test plan: an MLflow server that fails, stalls and is restarted gets every point once.

`LEARNFLEET_T5_POINTS` (10,000) and `LEARNFLEET_T5_DELAY_S` (0.02) make it longer and slower.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import product
from pathlib import Path
from typing import Any

import psutil
import pytest
from support.faulty_http import Faults, FaultyHttp
from support.mlflow_server import MlflowServer, until
from support.tracked_checkpoints import name_checkpoint, save_checkpoint
from support.tracked_jobs import NOW, FaultyMlflow, queue_job, run_job, start_job
from support.tracking import Tracking

from learnfleet.server.config import Config
from learnfleet.server.domain import JobState, NewEvent
from learnfleet.server.tracking import points, sending
from learnfleet.server.tracking.exporter import MlflowExporter
from learnfleet.server.tracking.mlflow_client import EXPERIMENT, mlflow_client

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]

POINTS = int(os.environ.get("LEARNFLEET_T5_POINTS", "10000"))
BAD = Faults(0.1, 0.05, 0.03, 0.03, float(os.environ.get("LEARNFLEET_T5_DELAY_S", "0.02")))
JOBS = [f"job-{number}" for number in range(4)]
NAMES = {"batch_loss": "loss", "lr": "lr", "momentum": "mom", "samples_per_second": "samples_per_s"}
EVENTS = POINTS // len(JOBS) // len(NAMES)  # of a job
MAX_GROWTH_BYTES = 32_000_000
MAX_S = 3000.0


@dataclass
class Memory:
    """The most that this process has had while it was looked at."""

    first: int = field(default_factory=lambda: psutil.Process().memory_info().rss)
    growth: int = 0

    def look(self) -> None:
        self.growth = max(self.growth, psutil.Process().memory_info().rss - self.first)


@pytest.fixture
def mlflow(tmp_path: Path) -> Iterator[MlflowServer]:
    (tmp_path / "server").mkdir()
    server = MlflowServer(tmp_path / "server")
    server.start()
    yield server
    server.kill()


@pytest.fixture
def proxy(mlflow: MlflowServer) -> Iterator[FaultyHttp]:
    made = FaultyHttp(mlflow.port)
    yield made
    made.close()


@pytest.fixture
def tracking(tmp_path: Path, proxy: FaultyHttp) -> Iterator[Tracking]:
    """Its exporter sees MLflow through the proxy."""
    config = Config(tmp_path, mlflow_uri=proxy.uri)
    made = Tracking(config, FaultyMlflow(mlflow_client(config)))
    made.exporter = MlflowExporter(config, made.store)  # with a real clock
    yield made
    made.exporter.abandon()
    made.store.close()


def value_of(job_id: str, number: int, field_name: str) -> float:
    return JOBS.index(job_id) + number / 1000 + len(field_name)


def write_log(tracking: Tracking, job_id: str) -> None:
    """A job from its beginning to its end, with a checkpoint that stays."""
    queue_job(tracking.store, job_id)
    start_job(tracking.store, job_id)
    events = []
    for number in range(EVENTS):
        data = {name: value_of(job_id, number, name) for name in NAMES.values()}
        data |= {"step": number, "eta_s": 1.0}
        events.append(NewEvent(f"batch/{number}", "batch", data, NOW + timedelta(seconds=number), 1))
    for start in range(0, EVENTS, 1000):
        tracking.store.append_events(job_id, events[start : start + 1000])
    kept = save_checkpoint(tracking, job_id, EVENTS)
    name_checkpoint(tracking, job_id, kept, job_id)
    tracking.store.transition(job_id, JobState.SUCCEEDED)


def is_behind(tracking: Tracking) -> bool:
    return any(tracking.store.jobs_behind(consumer) for consumer in ("mlflow", "mlflow-checkpoints"))


def play(proxy: FaultyHttp, tracking: Tracking, faults: Faults, mlflow: MlflowServer | None = None) -> Memory:
    """Four jobs are told to an MLflow that fails; it is killed and started again in between where it is given."""
    run_job(tracking.store, "warm")
    tracking.exporter.start()
    until(lambda: not is_behind(tracking))
    for job_id in JOBS:
        write_log(tracking, job_id)
    memory = Memory()

    def done(limit: int = 0) -> bool:
        memory.look()
        return sum(tracking.store.cursor("mlflow", job_id) for job_id in JOBS) >= limit and (
            limit > 0 or not is_behind(tracking)
        )

    proxy.faults = faults
    tracking.exporter.wake(JOBS[0])
    until(lambda: done(EVENTS), MAX_S)
    if mlflow is not None:
        mlflow.kill()
        asked = sum(proxy.done.values())
        until(lambda: sum(proxy.done.values()) > asked + 1)
        mlflow.start()
    until(done, MAX_S)
    proxy.faults = Faults()
    return memory


def runs_by_name(uri: str) -> dict[str, Any]:
    from mlflow.tracking import MlflowClient

    client = MlflowClient(uri)
    found = client.search_runs([client.get_experiment_by_name(EXPERIMENT).experiment_id])
    runs = {run.info.run_name: run for run in found}
    assert len(found) == len(runs) == 2 * (len(JOBS) + 1)  # a learner's and a job's each, made once
    return runs


@dataclass(frozen=True)
class Wrong:
    """Points of all jobs and metrics."""

    lost: int = 0
    too_many: int = 0
    at_other_times: int = 0


def wrong_points(uri: str) -> Wrong:
    from mlflow.tracking import MlflowClient

    client, runs = MlflowClient(uri), runs_by_name(uri)
    start_ms, lost, too_many, at_other_times = round(NOW.timestamp() * 1000), 0, 0, 0
    for job_id, (metric, name) in product(JOBS, NAMES.items()):
        found = client.get_metric_history(runs[f"jobs/{job_id}"].info.run_id, metric)
        there = Counter((point.step, point.value) for point in found)
        expected = Counter((nth, value_of(job_id, nth, name)) for nth in range(EVENTS))
        lost += (expected - there).total()
        too_many += (there - expected).total()
        at_other_times += sum(point.timestamp != start_ms + 1000 * point.step for point in found)
    return Wrong(lost, too_many, at_other_times)


def test_every_point_arrives_once_through_errors_delays_resets_and_a_restart(
    mlflow: MlflowServer, proxy: FaultyHttp, tracking: Tracking
) -> None:
    from mlflow.tracking import MlflowClient

    memory = play(proxy, tracking, BAD, mlflow)
    assert wrong_points(mlflow.uri) == Wrong()
    client, runs = MlflowClient(mlflow.uri), runs_by_name(mlflow.uri)
    for job_id in JOBS:
        run = runs[f"jobs/{job_id}"]
        assert run.info.status == "FINISHED"
        (folder,) = client.list_artifacts(run.info.run_id, "checkpoints")
        assert len(client.list_artifacts(run.info.run_id, folder.path)) == 4
    assert memory.growth <= MAX_GROWTH_BYTES, f"{memory.growth / 1e6:.0f} MB"
    assert {"refused", "forgotten", "deaf", "reset"} <= set(proxy.done)


def test_points_that_are_sent_anew_with_the_time_of_sending_are_found(
    mlflow: MlflowServer, proxy: FaultyHttp, tracking: Tracking, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(points, "_time_ms", lambda stored: time.time_ns() // 1_000_000)
    play(proxy, tracking, Faults(forgotten=0.5, only="log-batch"))
    assert wrong_points(mlflow.uri).too_many > 0


def test_points_that_an_error_took_away_are_found(
    mlflow: MlflowServer, proxy: FaultyHttp, tracking: Tracking, monkeypatch: pytest.MonkeyPatch
) -> None:
    def careless(send: Callable[[], object]) -> str:
        with contextlib.suppress(Exception):
            send()
        return ""

    monkeypatch.setattr(sending, "refusal", careless)
    play(proxy, tracking, Faults(refused=0.5, only="log-batch"))
    assert wrong_points(mlflow.uri).lost > 0
