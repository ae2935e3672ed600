"""The scheduler's threads, over a real store and a fake cluster."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.fake_cluster import Fleet

from learnfleet.server.domain import JobState


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    made = Fleet(tmp_path)
    yield made
    made.store.is_full = False
    made.close()


def test_a_job_whose_controller_met_a_full_disk_goes_on_when_there_is_room(fleet: Fleet) -> None:
    fleet.scheduler.start()
    fleet.queue("one")
    fleet.until_state("one", JobState.RUNNING)
    fleet.store.is_full = True
    fleet.cluster.finishes.set()
    fleet.until_controller_ends("one")
    assert fleet.store.get_job("one").state is JobState.RUNNING
    fleet.store.is_full = False
    assert fleet.until_state("one", JobState.SUCCEEDED).attempt == 2


def test_the_scheduler_outlives_a_full_disk_at_its_start(fleet: Fleet) -> None:
    fleet.leave_running(fleet.queue("one"))
    fleet.queue("two")
    fleet.store.is_full = True
    fleet.cluster.finishes.set()
    fleet.scheduler.start()
    fleet.store.refused.wait()
    fleet.store.is_full = False
    fleet.until_state("one", JobState.SUCCEEDED)
    fleet.until_state("two", JobState.SUCCEEDED)
