"""What every store promises to several servers at once (store/base.py)."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from support.store_values import NOW, a_job, an_event, create

from learnfleet.server.domain import (
    Group,
    JobState,
    Resources,
)
from learnfleet.server.errors import (
    Deposed,
    FailedPrecondition,
    NotFound,
)
from learnfleet.server.store.base import JobFilter, Page, Store
from learnfleet.server.store.lease import Lease


def test_of_requests_with_one_id_at_the_same_time_one_makes_the_job_and_the_others_get_it(
    opened: Callable[[], Store],
) -> None:
    stores = [opened() for _ in range(4)]  # of servers of their own
    barrier = threading.Barrier(len(stores))

    def ask(number: int) -> str:
        barrier.wait()
        return create(stores[number], a_job(f"job-{number}", f"learner-{number}", request_id="r")).id

    with ThreadPoolExecutor(len(stores)) as threads:
        given = set(threads.map(ask, range(len(stores))))
    assert given == {job.id for job in stores[0].unfinished_jobs()}
    assert len(given) == len(stores[0].list_learners(Page())[0]) == 1
    for store in stores:
        store.close()


def test_of_changes_to_a_learner_at_the_same_time_one_is_made_and_the_others_are_told(
    opened: Callable[[], Store],
) -> None:
    stores = [opened() for _ in range(4)]
    create(stores[0])
    learner = stores[0].get_learner("pets")
    barrier = threading.Barrier(len(stores))

    def change(number: int) -> bool:
        barrier.wait()
        try:
            stores[number].update_learner(dataclasses.replace(learner, steps=number))
        except FailedPrecondition:
            return False
        return True

    with ThreadPoolExecutor(len(stores)) as threads:
        made = list(threads.map(change, range(len(stores))))
    assert sum(made) == 1
    assert stores[0].get_learner("pets").steps == made.index(True)
    for store in stores:
        store.close()


def test_a_lease_changes_hands_once_for_each_look_at_it(store: Store) -> None:
    assert store.get_lease("l") is None
    first = store.take_lease("l", "one", None)
    assert first == store.get_lease("l") == Lease("l", "one", beat=1, term=1)
    assert store.take_lease("l", "two", None) is None
    assert store.renew_lease(first)
    assert store.take_lease("l", "two", first) is None
    second = store.take_lease("l", "two", store.get_lease("l"))
    assert second == Lease("l", "two", beat=3, term=2)
    assert not store.renew_lease(first)
    store.give_back_lease(first)
    assert store.get_lease("l") == second
    store.give_back_lease(second)
    assert store.get_lease("l") == Lease("l", None, beat=4, term=2)


def test_what_is_written_under_a_lease_is_refused_once_another_has_it_or_it_was_given_back(store: Store) -> None:
    create(store)
    lease = store.take_lease("l", "one", None)
    assert lease is not None
    fenced = store.fenced(lease)
    assert store.renew_lease(lease)
    fenced.transition("one", JobState.STARTING)
    store.give_back_lease(lease)
    with pytest.raises(Deposed):
        fenced.append_events("one", [an_event("a")])
    assert store.take_lease("l", "one", store.get_lease("l")) is not None
    with pytest.raises(Deposed):
        fenced.transition("one", JobState.FAILED)
    assert store.get_job("one").state is JobState.STARTING
    assert fenced.read_events("one", 0) == store.read_events("one", 0)


def test_generations_are_never_used_twice_and_groups_are_remembered(opened: Callable[[], Store]) -> None:
    first = opened()
    create(first)
    assert [first.next_generation("pets"), first.next_generation("pets")] == [1, 2]
    first.put_group(Group("pets", 2, Resources(2), "ns"))
    first.put_group(Group("pets", 2, Resources(2), "ns", idle_since=NOW))
    first.close()
    second = opened()
    assert second.next_generation("pets") == 3
    assert second.list_groups() == [Group("pets", 2, Resources(2), "ns", idle_since=NOW)]
    second.delete_group("pets")
    assert second.list_groups() == []
    second.close()


def test_a_job_is_put_on_a_learner_or_the_learner_is_deleted_but_never_both(opened: Callable[[], Store]) -> None:
    stores = [opened() for _ in range(4)]
    for round_ in range(10):
        learner_id = f"learner-{round_}"
        create(stores[0], a_job(f"first-{round_}", learner_id))
        stores[0].transition(f"first-{round_}", JobState.CANCELLED)
        barrier = threading.Barrier(len(stores))

        def work(number: int, round_: int = round_, barrier: threading.Barrier = barrier) -> bool:
            barrier.wait()
            try:
                if number == 0:
                    stores[number].delete_learner(f"learner-{round_}")
                else:
                    create(stores[number], a_job(f"job-{round_}-{number}", f"learner-{round_}"), new_learner=False)
            except (FailedPrecondition, NotFound):
                return False
            return True

        with ThreadPoolExecutor(len(stores)) as threads:
            is_deleted, *are_queued = threads.map(work, range(len(stores)))
        queued, _ = stores[0].list_jobs(Page(), JobFilter(learner_id=learner_id, states=(JobState.QUEUED,)))
        assert (is_deleted, len(queued)) == (not any(are_queued), sum(are_queued))
    for store in stores:
        store.close()
