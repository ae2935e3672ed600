"""A cluster whose autoscaler brings nodes for jobs that wait. The autoscaler is real, its nodes are on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.ray_head import Head, growing_ray_head
from support.uploads import until

from learnfleet.client import Client, ImageDataBunch, InvalidArgumentError, Job
from learnfleet.server.commands.local_server import LocalServer, start_server, stop_server

NODE = {"CPU": 2}


@pytest.fixture
def growing(tmp_path: Path) -> Iterator[Head]:
    with growing_ray_head(tmp_path, NODE, most=1) as head:
        yield head


@pytest.fixture(params=["a node", "a client"])
def server(request: pytest.FixtureRequest, growing: Head, tmp_path: Path, pictures: Path) -> Iterator[LocalServer]:
    """A node of the cluster, or a Ray client as in Kubernetes."""
    address = growing.address if request.param == "a node" else growing.client_address
    options = ("--ray-address", address, "--max-cpu-slots=2", "--max-gpu-slots=0", "--idle-timeout-s=1")
    options += ("--replica-cpus=1", "--replica-idle-s=1")
    running = start_server(
        tmp_path / "data", [pictures], tmp_path / "server.log", options=options, environment=growing.environment
    )
    yield running
    stop_server(running)


@pytest.mark.slow
def test_nodes_come_for_jobs_that_wait_and_predictions_are_counted(server: LocalServer, pictures: Path) -> None:
    with Client.connect(server.address) as client:
        data = ImageDataBunch.from_folder("digits", size=32, bs=32)
        learn = client.cnn_learner(data, "squeezenet1_1", pretrained=False, num_workers=2)
        first = learn.fit_one_cycle(1, 1e-3, wait=False)
        wait_for(first, "the cluster has 0 until more nodes join")
        first.wait()

        picture = next((pictures / "digits").rglob("*.png")).read_bytes()
        client.predict(learn.name, picture)  # by a process that has one of the two CPUs
        second = learn.fit_one_cycle(1, 1e-3, wait=False)
        wait_for(second, "the cluster has 1 (1 more are with processes that predict)")
        second.wait()  # it has ended, as nobody predicts any more

        with pytest.raises(InvalidArgumentError, match="this cluster grows to 2; lower it to 2 or less"):
            client.cnn_learner(data, "squeezenet1_1", pretrained=False, num_workers=3).fit_one_cycle(1, 1e-3)
        with pytest.raises(InvalidArgumentError, match="this cluster grows to 0; use the other kind"):
            client.cnn_learner(data, "squeezenet1_1", pretrained=False, gpus_per_worker=1).fit_one_cycle(1, 1e-3)


def wait_for(job: Job, why: str) -> None:
    """Until the job is told so."""
    until(lambda: job.refresh().info.state_reason, lambda reason: why in reason)
