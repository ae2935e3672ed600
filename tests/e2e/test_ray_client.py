"""As in Kubernetes: the control server runs no node of the Ray cluster, and has no torch."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from support.ray_head import Head

from learnfleet.client import Client, ImageDataBunch
from learnfleet.server.commands.local_server import start_server, stop_server

EPOCHS = 4
# What the interpreter runs before all else: an import of torch fails as it would without it.
_WITHOUT_TORCH = (
    "import sys\nfor name in ('torch', 'torchvision', 'timm', 'torchmetrics'):\n    sys.modules[name] = None\n"
)


@pytest.mark.slow
def test_a_server_that_is_no_node_of_the_cluster_trains_and_hands_over(
    head: Head, tmp_path: Path, pictures: Path
) -> None:
    environment = {**head.environment, "PYTHONPATH": _path_without_torch(tmp_path)}
    options, log = ("--ray-address", head.client_address), tmp_path / "server.log"
    first = start_server(tmp_path / "data", [pictures], log, options=options, environment=environment)
    try:
        with Client.connect(first.address) as client:
            data = ImageDataBunch.from_folder("digits", size=32, bs=32)
            learn = client.cnn_learner(data, "resnet18", pretrained=False, num_workers=2)
            job = learn.fit_one_cycle(EPOCHS, 1e-3, wait=False)
            seen = next(event.sequence for event in job.watch() if event.kind == "epoch_finished")
    finally:
        first.process.kill()
        first.process.wait()
    second = start_server(tmp_path / "data", [pictures], log, options=options, environment=environment)
    try:
        with Client.connect(second.address) as client:
            again = client.job(job.name)
            events = list(again.watch(after_sequence=seen))
            again.wait()
    finally:
        stop_server(second)

    assert again.attempt == 1
    assert [event.sequence for event in events] == list(range(seen + 1, seen + 1 + len(events)))
    assert [event.payload.epoch for event in events if event.kind == "epoch_finished"] == list(range(1, EPOCHS))


def _path_without_torch(folder: Path) -> str:
    site = folder / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text(_WITHOUT_TORCH)
    return os.pathsep.join([str(site), *sys.path])
