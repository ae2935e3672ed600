"""What every store promises of tenants, and of what is deleted (store/base.py)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest
from support.store_values import NOW, a_checkpoint, a_job, a_learner, an_event, create

from learnfleet.server.domain import (
    Checkpoint,
    Group,
    JobState,
    Resources,
)
from learnfleet.server.errors import (
    AlreadyExists,
    FailedPrecondition,
    NotFound,
    ResourceExhausted,
    WorkersEnding,
)
from learnfleet.server.store.base import Page, Store


def test_a_tenant_has_no_more_unfinished_jobs_than_it_may(store: Store) -> None:
    mine = [dataclasses.replace(a_job(f"job{n}", f"l{n}", f"request{n}"), tenant="mine") for n in range(3)]
    for job in mine[:2]:
        store.create_job(job, learner=a_learner(job.learner_id), fingerprint="f", most_unfinished=2)
    with pytest.raises(ResourceExhausted, match="tenant mine has 2 jobs"):
        store.create_job(mine[2], learner=a_learner("l2"), fingerprint="f", most_unfinished=2)
    assert store.create_job(mine[1], learner=None, fingerprint="f", most_unfinished=2).id == "job1"
    store.create_job(a_job("other", "other"), learner=a_learner("other"), fingerprint="f", most_unfinished=1)
    store.transition("job0", JobState.CANCELLED)
    store.create_job(mine[2], learner=a_learner("l2"), fingerprint="f", most_unfinished=2)


def test_owners_are_told_and_lists_are_a_tenants_own(store: Store) -> None:
    red, blue = (dataclasses.replace(a_learner(tenant), tenant=tenant) for tenant in ("red", "blue"))
    for learner in (red, blue):
        job = dataclasses.replace(a_job(f"of-{learner.id}", learner.id), tenant=learner.tenant)
        store.create_job(job, learner=learner, fingerprint="f")
    assert (store.tenant_of_learner("red"), store.tenant_of_job("of-blue")) == ("red", "blue")
    assert (store.tenant_of_learner("nobody"), store.tenant_of_job("nothing")) == (None, None)
    assert [learner.id for learner in store.list_learners(Page(), "red")[0]] == ["red"]
    assert len(store.list_learners(Page())[0]) == 2


def test_what_tenants_have_used_is_added_up(opened: Callable[[], Store]) -> None:
    first = opened()
    assert first.usage(60) == {}
    first.add_usage({"a": 10.0, "b": 1.0}, 60)
    first.add_usage({"a": 5.0, "c": 2.0}, 60)
    first.close()
    again = opened()
    assert again.usage(60) == {"a": 15.0, "b": 1.0, "c": 2.0}
    again.close()


def test_a_deleted_job_is_gone_with_all_but_what_others_stand_on(store: Store) -> None:
    create(store)
    with pytest.raises(FailedPrecondition):
        store.delete_job("one")
    store.append_events("one", [an_event("x")])
    store.advance_cursor("mlflow", "one", 1)
    for checkpoint_id in ("one", "one-20"):
        store.put_checkpoint(Checkpoint("pets", checkpoint_id, "/c", 10, 2, "a" * 64, "b" * 64, 5, NOW))
    store.transition("one", JobState.CANCELLED)
    store.delete_job("one")
    for call in (store.get_job, store.delete_job):
        with pytest.raises(NotFound):
            call("one")
    assert [found.id for found in store.list_checkpoints("pets")] == ["one-20"]
    assert store.get_learner("pets").id == "pets"


def test_request_ids_are_each_tenants_own(store: Store) -> None:
    red, blue = (
        dataclasses.replace(a_job(f"of-{tenant}", tenant, request_id="r"), tenant=tenant) for tenant in ("red", "blue")
    )
    for job in (red, blue):
        learner = dataclasses.replace(a_learner(job.learner_id), tenant=job.tenant)
        assert store.create_job(job, learner=learner, fingerprint=job.tenant).id == job.id
    assert create(store, dataclasses.replace(red, id="again"), fingerprint="red").id == "of-red"
    with pytest.raises(AlreadyExists, match="jobs/of-blue"):
        create(store, dataclasses.replace(blue, id="again"), fingerprint="red")


def test_a_deleted_learner_is_gone_with_all_that_was_its_own_and_its_id_is_free(store: Store) -> None:
    create(store)
    create(store, a_job("two"), new_learner=False)
    create(store, a_job("other", "birds"))
    store.transition("one", JobState.CANCELLED)
    with pytest.raises(FailedPrecondition, match="jobs/two of learners/pets"):
        store.delete_learner("pets")
    store.transition("two", JobState.FAILED)
    store.advance_cursor("mlflow", "two", 1)
    for owner in ("pets", "birds"):
        store.put_checkpoint(a_checkpoint("one", learner_id=owner))
    store.put_group(Group("pets", store.next_generation("pets"), Resources(2), "ns"))
    with pytest.raises(WorkersEnding):
        store.delete_learner("pets")
    store.delete_group("pets")
    store.delete_learner("pets")
    for look in (store.get_learner, store.list_checkpoints, store.delete_learner):
        with pytest.raises(NotFound):
            look("pets")
    with pytest.raises(NotFound):
        store.put_checkpoint(a_checkpoint("late"))
    assert [job.id for job in store.list_jobs(Page())[0]] == ["other"]
    assert [found.id for found in store.list_checkpoints("birds")] == ["one"]
    assert create(store).last_sequence == 1
    assert store.list_checkpoints("pets") == []
