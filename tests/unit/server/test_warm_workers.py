"""A learner's workers stay for its next job: for a while, and as long as nobody else needs their slots."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.fake_cluster import FakeCluster, Fleet

from learnfleet.server.config import Config
from learnfleet.server.domain import JobState, Resources
from learnfleet.server.scheduling.pool import GroupPool

Make = Callable[..., Fleet]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    made: list[Fleet] = []

    def start(slots: int, **settings: object) -> Fleet:
        made.append(Fleet(tmp_path, FakeCluster(slots), settings))
        made[-1].cluster.finishes.set()
        made[-1].scheduler.start()
        return made[-1]

    yield start
    for fleet in made:
        fleet.close()


def run(fleet: Fleet, job_id: str, learner_id: str = "") -> None:
    fleet.queue(job_id, learner_id)
    fleet.until_state(job_id, JobState.SUCCEEDED)
    fleet.until_controller_ends(job_id)


def living(fleet: Fleet) -> list[str]:
    return [made.group.learner_id for made in fleet.cluster.groups if made.is_alive]


def test_the_next_job_of_a_learner_has_the_workers_of_the_last(make: Make) -> None:
    fleet = make(2)
    run(fleet, "one")
    run(fleet, "two", "one")
    assert [request.job_id for request in fleet.cluster.groups[0].requests] == ["one", "two"]
    assert len(fleet.cluster.groups) == 1


def test_idle_workers_are_given_up_when_a_job_of_another_learner_needs_their_slots(make: Make) -> None:
    fleet = make(1)
    run(fleet, "one")
    assert living(fleet) == ["one"]
    run(fleet, "two")
    assert living(fleet) == ["two"]


def test_where_there_is_room_for_others_idle_workers_stay(make: Make) -> None:
    fleet = make(2)
    run(fleet, "one")
    run(fleet, "two")
    assert living(fleet) == ["one", "two"]


def test_workers_are_given_up_when_they_have_been_idle_for_longer_than_the_setting(tmp_path: Path) -> None:
    now_s = 0.0
    fleet = Fleet(tmp_path, FakeCluster(2))
    pool = GroupPool(Config(tmp_path, idle_timeout_s=600), fleet.store, fleet.cluster, lambda: now_s)  # type: ignore[arg-type]
    for learner in ("kept", "idle"):
        fleet.queue(learner)  # which makes the learner
        pool.reserve(learner, Resources())
        pool.obtain(learner)
    pool.release("idle")
    now_s = 600.0
    pool.give_up_idle()
    assert living(fleet) == ["kept", "idle"]
    now_s = 600.1
    pool.give_up_idle()
    assert living(fleet) == ["kept"]  # which is at work, however long that takes
    pool.release("kept")
    now_s = 1200.0
    pool.give_up_idle()
    assert living(fleet) == ["kept"]
    assert [group.learner_id for group in fleet.store.list_groups()] == ["kept"]
    fleet.close()


def test_the_server_looks_for_workers_that_were_idle_too_long_when_nothing_else_happens(make: Make) -> None:
    fleet = make(2, idle_timeout_s=0)
    run(fleet, "one")
    fleet.until(lambda: living(fleet) == [])
