"""Processes are killed with SIGKILL in the middle of training; nothing is lost, repeated or different."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import psutil
import pytest

from learnfleet.client import Client, Event, ImageDataBunch, Job, RemoteLearner
from learnfleet.client.events import StateChanged
from learnfleet.client.results import FINAL_STATES
from learnfleet.server.commands.local_server import LocalServer, start_server, stop_server

EPOCHS = 3


def a_job(client: Client, name: str) -> Job:
    data = ImageDataBunch.from_folder("digits", size=32, bs=32)
    learn = client.cnn_learner(
        data,
        "squeezenet1_1",
        pretrained=False,
        metrics=["accuracy"],
        num_workers=2,
        name=name,
        checkpoint_every_steps=2,
    )
    return learn.fit_one_cycle(EPOCHS, 1e-3, wait=False)


def first_batch_of_epoch(job: Job, epoch: int) -> int:
    """Watch until training is in the middle of `epoch`; the sequence number of the last event seen."""
    for event in job.watch():
        if event.kind == "batch_finished" and event.payload.epoch == epoch:
            return event.sequence
    raise AssertionError(f"{job.name} ended before epoch {epoch}")


def train_workers_of(server: LocalServer) -> list[psutil.Process]:
    """Processes of Ray actors that train, below this server only."""
    children = psutil.Process(server.process.pid).children(recursive=True)
    return [child for child in children if "ray::" in " ".join(child.cmdline()) and "TrainWorker" in child.cmdline()[0]]


@pytest.fixture(scope="module")
def digests(client: Client) -> tuple[str, str]:
    """SHA-256 of model and optimiser tensors of a run that is never disturbed."""
    job = a_job(client, "undisturbed").wait()
    return job.result.checkpoint.model_sha256, job.result.checkpoint.optimizer_sha256


def test_a_job_whose_worker_is_killed_ends_with_the_same_tensors_as_one_that_was_not(
    client: Client, server: LocalServer, digests: tuple[str, str]
) -> None:
    job = a_job(client, "worker-killed")
    first_batch_of_epoch(job, 1)
    workers = train_workers_of(server)
    assert len(workers) >= 2
    os.kill(workers[-1].pid, signal.SIGKILL)
    job.wait()
    assert job.attempt >= 2
    assert (job.result.checkpoint.model_sha256, job.result.checkpoint.optimizer_sha256) == digests
    epochs = [event.payload.epoch for event in job.watch() if event.kind == "epoch_finished"]
    assert epochs == list(range(EPOCHS))


@pytest.mark.slow
def test_a_job_goes_on_when_the_process_that_talks_to_ray_is_killed(
    client: Client, server: LocalServer, digests: tuple[str, str]
) -> None:
    job = a_job(client, "host-killed")
    first_batch_of_epoch(job, 1)
    children = psutil.Process(server.process.pid).children()
    (host,) = [child for child in children if "learnfleet.server.workers.ray_host" in child.cmdline()]
    os.kill(host.pid, signal.SIGKILL)
    job.wait()
    # The nodes of the Ray that is started instead have other names: an attempt that was to start on the old ones is no
    # retry, but has a number.
    assert job.attempt in (2, 3)
    assert (job.result.checkpoint.model_sha256, job.result.checkpoint.optimizer_sha256) == digests


def test_a_job_that_is_paused_and_resumed_ends_with_the_same_tensors_and_says_so_in_its_log(
    client: Client, server: LocalServer, digests: tuple[str, str]
) -> None:
    job = a_job(client, "paused")
    first_batch_of_epoch(job, 1)
    job.pause()
    states = (event.payload.state for event in job.watch() if isinstance(event.payload, StateChanged))
    assert "PAUSED" in states
    before = {process.pid for process in train_workers_of(server)}
    assert job.refresh().state == "PAUSED"
    job.resume().wait()
    assert job.attempt == 2
    assert {process.pid for process in train_workers_of(server)} == before
    assert (job.result.checkpoint.model_sha256, job.result.checkpoint.optimizer_sha256) == digests
    log = list(job.logs())
    assert [int(entry.position) for entry in log] == list(range(1, len(log) + 1))
    assert {(entry.attempt, entry.rank) for entry in log} == {(1, 0), (1, 1), (2, 0), (2, 1)}
    assert sum("was stopped" in entry.message for entry in log) == 2
    assert list(job.logs(after=log[4].position)) == log[5:]
    assert list(job.logs(min_severity="error")) == []


@pytest.fixture
def own_server(tmp_path: Path, pictures: Path) -> Iterator[list[LocalServer]]:
    """A server that the test may kill and start again; the last of the list is stopped at the end."""
    servers = [start_server(tmp_path / "data", [pictures], tmp_path / "server.log")]
    yield servers
    stop_server(servers[-1])


@pytest.mark.slow
@pytest.mark.parametrize(
    "how",
    [
        pytest.param(signal.SIGKILL, id="killed"),
        pytest.param(signal.SIGTERM, id="stopped"),
    ],
)
def test_a_server_that_ended_goes_on_with_the_job_and_watching_goes_on_without_loss_or_repeat(
    how: signal.Signals, own_server: list[LocalServer], tmp_path: Path, pictures: Path, digests: tuple[str, str]
) -> None:
    with Client.connect(own_server[0].address) as client:
        job = a_job(client, "server-killed")
        seen = first_batch_of_epoch(job, 1)
        before = list(islice(job.watch(), seen))
    own_server[0].process.send_signal(how)
    assert own_server[0].process.wait(60) == (0 if how is signal.SIGTERM else -how)
    own_server.append(start_server(tmp_path / "data", [pictures], tmp_path / "server.log"))
    with Client.connect(own_server[1].address) as client:
        again = client.job(job.name)
        after = list(again.watch(after_sequence=seen))
        again.wait()
        everything = list(again.watch())
    assert [event.sequence for event in before + after] == list(range(1, len(before + after) + 1))
    assert before + after == everything
    assert [event.payload.epoch for event in everything if event.kind == "epoch_finished"] == list(range(EPOCHS))
    assert (again.result.checkpoint.model_sha256, again.result.checkpoint.optimizer_sha256) == digests
    assert final_states(everything) == ["SUCCEEDED"]


def final_states(events: list[Event]) -> list[str]:
    """The states in which the job ended: one for a job that was run once."""
    states = [event.payload.state for event in events if isinstance(event.payload, StateChanged)]
    return [state for state in states if state in FINAL_STATES]


def test_a_second_fit_runs_on_the_same_worker_processes(client: Client, server: LocalServer) -> None:
    data = ImageDataBunch.from_folder("digits", size=32, bs=32)
    learn: RemoteLearner = client.cnn_learner(data, "squeezenet1_1", pretrained=False, num_workers=2, name="warm")
    learn.fit(1, 1e-3)
    before = {process.pid for process in train_workers_of(server)}
    learn.fit(1, 1e-3)
    assert {process.pid for process in train_workers_of(server)} == before
