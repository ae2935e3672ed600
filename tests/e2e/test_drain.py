"""A server is told to stop (SIGTERM) while it does this and that; tests/faults/test_drain.py does so everywhere."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from PIL import Image
from support.faults.campaign import Disturbed, prepare
from support.faults.drains import PLACES, stop_at
from support.faults.servers import DisturbedServer, LightWorkers
from support.uploads import until

from learnfleet.client import Client
from learnfleet.server.commands.digits import write_digits


@pytest.fixture(scope="module")
def disturbed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Disturbed]:
    """A server with workers that are real in all but that they do not train."""
    root, workers = tmp_path_factory.mktemp("pictures"), LightWorkers()
    write_digits(root / "digits", limit=150)
    server = DisturbedServer(tmp_path_factory.mktemp("light"), root, workers.options, workers.environment)
    server.start()
    yield Disturbed(server, workers.train_workers, prepare(server), is_light=True)
    server.stop()
    workers.end()


@pytest.mark.parametrize("place", ["store.append_events.before", "store.transition.pausing.after"])
def test_every_job_ends_as_if_the_server_had_not_stopped(place: str, disturbed: Disturbed) -> None:
    """In 30 seconds, with exit code 0, and with an answer to every call that was let in."""
    assert place in PLACES
    stop_at(place, 1, disturbed)


def test_a_server_ends_in_time_whatever_hangs_and_what_hung_can_be_asked_for_again(
    disturbed: Disturbed, tmp_path: Path
) -> None:
    """A thread that is stuck in a file system, which no Python program can end."""
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    server = disturbed.server
    server.stop()
    server.options = (*server.options, "--drain-s", "3")
    server.start("dataset.moved=slow:300")
    with ThreadPoolExecutor(1) as pool, Client.connect(server.address, retry_s=60) as client:
        uploading = pool.submit(client.datasets.upload, tmp_path, "hung", progress=False)
        until(lambda: list(server.data_dir.glob("datasets/hung/*")), bool)

        assert server.stop() == 0
        assert "not done with stopping after 3 s (dataset_0); ended all the same" in server.said()
        server.start()
        assert uploading.result(60).versions[0].files == 1
