"""A rank that is stopped in the middle of training: found, ended, and the job goes on to the same tensors."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import psutil
import pytest

from learnfleet.client import Client, ImageDataBunch, Job
from learnfleet.client.events import StateChanged
from learnfleet.server.commands.local_server import local_server


def a_job(client: Client, name: str) -> Job:
    data = ImageDataBunch.from_folder("digits", size=32, bs=32)
    learn = client.cnn_learner(
        data, "squeezenet1_1", pretrained=False, num_workers=2, name=name, checkpoint_every_steps=2
    )
    return learn.fit_one_cycle(4, 1e-3, wait=False)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_job_whose_rank_is_stopped_is_found_to_hang_and_ends_with_the_same_tensors(
    tmp_path: Path, pictures: Path
) -> None:
    options = ["--hang-timeout-s", "8"]
    with (
        local_server(tmp_path / "data", [pictures], tmp_path / "server.log", options=options) as server,
        Client.connect(server.address) as client,
    ):
        undisturbed = a_job(client, "undisturbed").wait()
        job = a_job(client, "stopped")
        next(event for event in job.watch() if event.kind == "batch_finished")
        children = psutil.Process(server.process.pid).children(recursive=True)
        ranks = [child for child in children if "TrainWorker" in " ".join(child.cmdline()[:1])]
        os.kill(ranks[-1].pid, signal.SIGSTOP)
        job.wait()
        states = [event.payload for event in job.watch() if isinstance(event.payload, StateChanged)]
        restarts = [state.reason for state in states if state.state == "RESTARTING"]
        assert len(restarts) == 1
        assert "did not answer within 8 s" in restarts[0]
        assert any("stand here" in entry.message for entry in job.logs(min_severity="warning"))
        one, other = undisturbed.result.checkpoint, job.result.checkpoint
        assert (one.model_sha256, one.optimizer_sha256) == (other.model_sha256, other.optimizer_sha256)
