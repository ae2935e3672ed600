"""The lease of a server that shares a PostgreSQL: killed where it is taken, kept and given back."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.faults.campaign import SEED, Disturbed, begin, end, play, prepare, progressed
from support.faults.scenes import Stage, everyday
from support.faults.servers import DisturbedServer, LightWorkers
from support.postgres import PostgresServer

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

_SIDES = ("before", "after")


@pytest.fixture(scope="module")
def sharing(postgres: PostgresServer, pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Disturbed]:
    workers = LightWorkers()
    options = (*workers.options, "--store", postgres.new_schema(), "--server-id", "a", "--lease-s", "2")
    server = DisturbedServer(tmp_path_factory.mktemp("sharing"), pictures, options, workers.environment)
    server.start()
    yield Disturbed(server, workers.train_workers, prepare(server), is_light=True)
    server.stop()
    workers.end()


@pytest.mark.parametrize("side", _SIDES)
@pytest.mark.parametrize("write", ["take_lease", "renew_lease"])
def test_nothing_is_lost_doubled_or_different_when_a_sharing_server_with_light_workers_is_killed_at(
    write: str, side: str, sharing: Disturbed
) -> None:
    run = play(sharing, f"store.{write}.{side}=kill", everyday, SEED)
    assert not run.wrong, str(run)
    assert run.deaths == 1
    assert progressed(run.history)


@pytest.mark.parametrize("side", _SIDES)
def test_a_server_that_is_killed_while_it_gives_back_its_lease_goes_on_when_it_is_started_again(
    side: str, sharing: Disturbed
) -> None:
    load = begin(sharing, SEED)
    sharing.server.kill()
    sharing.server.start(f"store.give_back_lease.{side}=kill")
    stage = Stage(load, sharing.kill_a_worker)
    job = stage.fit_long()
    load.watch(job)
    load.until(job, lambda found: found.progress.epoch >= 1, "the second epoch")
    assert sharing.server.stop() == -signal.SIGKILL
    sharing.server.start()
    run = end(sharing, stage, load.settle(), deaths=1)
    assert not run.wrong, str(run)
