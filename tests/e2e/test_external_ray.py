"""A Ray cluster of its own outlives the control server: the running workers are taken over."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import psutil
import pytest
from support.ray_head import Head

from learnfleet.client import Client, ImageDataBunch
from learnfleet.server.commands.local_server import start_server, stop_server

EPOCHS = 6


@pytest.mark.slow
def test_workers_on_another_ray_are_taken_over_by_the_next_server(head: Head, tmp_path: Path, pictures: Path) -> None:
    options = ("--ray-address", head.address)
    log = tmp_path / "server.log"
    first = start_server(tmp_path / "data", [pictures], log, options=options, environment=head.environment)
    try:
        with Client.connect(first.address) as client:
            data = ImageDataBunch.from_folder("digits", size=32, bs=32)
            learn = client.cnn_learner(data, "resnet18", pretrained=False, num_workers=2)
            job = learn.fit_one_cycle(EPOCHS, 1e-3, wait=False)
            seen = next(event.sequence for event in job.watch() if event.kind == "epoch_finished")
    finally:
        first.process.kill()
        first.process.wait()
    second = start_server(tmp_path / "data", [pictures], log, options=options, environment=head.environment)
    try:
        with Client.connect(second.address) as client:
            again = client.job(job.name)
            events = list(again.watch(after_sequence=seen))
            again.wait()
            picture = next((pictures / "digits").rglob("*.png")).read_bytes()
            answer = client.predict(learn.name, picture)  # by a replica that is spoken to over TCP
    finally:
        stop_server(second)
    assert sum(answer.probabilities) == pytest.approx(1, abs=1e-5)
    assert again.attempt == 1
    assert [event.sequence for event in events] == list(range(seen + 1, seen + 1 + len(events)))
    assert [event.payload.epoch for event in events if event.kind == "epoch_finished"] == list(range(1, EPOCHS))


@pytest.mark.slow
def test_when_the_process_that_talks_to_ray_is_killed_its_workers_give_back_their_slots(
    head: Head, tmp_path: Path, pictures: Path
) -> None:
    options = ("--ray-address", head.address)
    server = start_server(
        tmp_path / "data", [pictures], tmp_path / "server.log", options=options, environment=head.environment
    )
    try:
        with Client.connect(server.address) as client:
            data = ImageDataBunch.from_folder("digits", size=32, bs=32)
            learn = client.cnn_learner(data, "squeezenet1_1", pretrained=False, num_workers=2)
            job = learn.fit_one_cycle(2, 1e-3, wait=False)
            next(event for event in job.watch() if event.kind == "epoch_finished")
            children = psutil.Process(server.process.pid).children()
            (host,) = [child for child in children if "learnfleet.server.workers.ray_host" in child.cmdline()]
            os.kill(host.pid, signal.SIGKILL)
            job.wait()
    finally:
        stop_server(server)
    assert job.attempt == 2  # the cluster has slots for two workers: more attempts if the first two kept them
