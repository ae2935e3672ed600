"""The scheduler's threads, over a real store and a fake cluster."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
from support.fake_cluster import NOW, Fleet

from learnfleet.server.domain import JobState, Wanted


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


def test_jobs_wait_while_ray_is_away_and_run_when_it_is_back(fleet: Fleet) -> None:
    fleet.cluster.finishes.set()
    fleet.cluster.is_reachable = False
    fleet.queue("one")
    fleet.scheduler.start()
    fleet.until(lambda: fleet.store.get_job("one").reason == "Ray cannot be reached")
    fleet.cluster.is_reachable = True
    fleet.until_state("one", JobState.SUCCEEDED)


def test_a_job_that_meets_a_lost_ray_at_its_start_is_queued_again_and_loses_no_restart(fleet: Fleet) -> None:
    fleet.cluster.finishes.set()
    fleet.cluster.refuses = 10  # more than a job's restarts
    fleet.queue("one")
    fleet.scheduler.start()
    assert fleet.until_state("one", JobState.SUCCEEDED).attempt == 11


def test_warm_workers_that_were_lost_with_ray_are_replaced_before_the_next_job(fleet: Fleet) -> None:
    fleet.cluster.finishes.set()
    fleet.scheduler.start()
    fleet.queue("one")
    fleet.until_state("one", JobState.SUCCEEDED)
    fleet.until_controller_ends("one")
    assert fleet.pool.is_warm("one")
    fleet.cluster.groups[0].is_alive, fleet.cluster.groups[0].is_lost = False, True
    assert not fleet.pool.is_warm("one")
    fleet.queue("two", "one")
    assert fleet.until_state("two", JobState.SUCCEEDED).attempt == 1


def test_what_many_jobs_wait_for_is_written_at_once_and_only_when_it_changes(fleet: Fleet) -> None:
    fleet.cluster.cpu_slots = 0
    for number in range(50):
        fleet.queue(f"job{number}")
    before = fleet.store.transactions
    fleet.scheduler.start()
    fleet.until(lambda: "slots" in fleet.store.get_job("job49").reason)
    for _ in range(3):
        fleet.cluster.asked.clear()
        fleet.scheduler.wake()
        fleet.cluster.asked.wait()
    assert fleet.store.transactions == before + 1


def test_a_job_is_cancelled_while_ray_does_not_answer_the_scheduler(fleet: Fleet) -> None:
    fleet.cluster.answers.clear()
    fleet.queue("one")
    fleet.scheduler.start()
    fleet.cluster.asked.wait()
    cancelling = ThreadPoolExecutor().submit(fleet.scheduler.ask, "one", Wanted.CANCEL)
    try:
        assert cancelling.result(timeout=5).state is JobState.CANCELLED
    finally:
        fleet.cluster.answers.set()
    fleet.queue("two")
    fleet.until_state("two", JobState.RUNNING)
    assert fleet.store.get_job("one").reason == "cancelled by request"


def test_jobs_start_in_the_order_in_which_they_were_queued_whatever_the_clock_said(fleet: Fleet) -> None:
    fleet.cluster.cpu_slots = 1
    fleet.queue("first", at=NOW + timedelta(days=1))
    fleet.queue("second", at=NOW)
    fleet.scheduler.start()
    fleet.until_state("first", JobState.RUNNING)
    assert fleet.store.get_job("second").state is JobState.QUEUED
