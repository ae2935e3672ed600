"""A server is told to stop (SIGTERM) while it does this and that; tests/faults/test_drain.py does so everywhere."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.faults.campaign import Disturbed, prepare
from support.faults.drains import PLACES, stop_at
from support.faults.servers import DisturbedServer, LightWorkers

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


@pytest.mark.parametrize(
    "place", ["store.transition.starting.after", "store.append_events.before", "store.transition.pausing.after"]
)
def test_every_job_ends_as_if_the_server_had_not_stopped(place: str, disturbed: Disturbed) -> None:
    """In 30 seconds, with exit code 0, and with an answer to every call that was let in."""
    assert place in PLACES
    stop_at(place, 1, disturbed)
