"""What every store promises of learners and jobs (store/base.py)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest
from support.store_values import NOW, a_job, a_learner, create

from learnfleet.server.domain import (
    TRANSITIONS,
    Checkpoint,
    CheckpointPolicy,
    IllegalTransition,
    JobState,
    Learner,
    TrainWork,
    Wanted,
)
from learnfleet.server.errors import (
    AlreadyExists,
    FailedPrecondition,
    NotFound,
)
from learnfleet.server.store.base import Page, Store
from learnfleet.trainer.keep_policy import KeepBest
from learnfleet.trainer.spec import FitStage


def test_what_was_created_is_read_back_the_same_even_after_reopening(opened: Callable[[], Store]) -> None:
    first = opened()
    made = create(first)
    first.close()
    second = opened()
    assert second.get_job("one") == made
    assert second.get_learner("pets") == a_learner()
    assert made.last_sequence == 1
    second.close()


def test_a_repeated_request_id_gives_the_same_job_and_inserts_nothing(store: Store) -> None:
    create(store, a_job(request_id="r"))
    again = create(store, a_job("two", "other", request_id="r"))
    assert again.id == "one"
    with pytest.raises(NotFound):
        store.get_learner("other")


def test_a_repeated_request_id_with_another_body_is_refused_and_inserts_nothing(store: Store) -> None:
    create(store, a_job(request_id="r"))
    with pytest.raises(AlreadyExists):
        create(store, a_job("two", "other", request_id="r"), fingerprint="another")
    assert [job.id for job in store.list_jobs(Page())[0]] == ["one"]


def test_a_learner_id_is_taken_once_and_a_job_needs_a_learner(store: Store) -> None:
    create(store)
    with pytest.raises(AlreadyExists):
        create(store, a_job("two"))
    with pytest.raises(NotFound):
        create(store, a_job("three", "nobody"), new_learner=False)
    assert [job.id for job in store.unfinished_jobs()] == ["one"]


@pytest.mark.parametrize("now", list(JobState))
def test_only_the_transitions_of_the_table_are_made(store: Store, now: JobState) -> None:
    for to in JobState:
        create(store, a_job(str(to), str(to)))
        for step in _way_to(now):
            store.transition(to, step)
        if to is now or to in TRANSITIONS[now]:
            assert store.transition(to, to, "because").state is to
        else:
            with pytest.raises(IllegalTransition):
                store.transition(to, to)
            assert store.get_job(to).state is now


def _way_to(state: JobState) -> list[JobState]:
    """A shortest list of moves from QUEUED."""
    ways: dict[JobState, list[JobState]] = {JobState.QUEUED: []}
    while state not in ways:
        for here in [*ways]:
            for there in TRANSITIONS[here]:
                ways.setdefault(there, [*ways[here], there])
    return ways[state]


def test_a_transition_writes_all_that_comes_with_it_or_nothing(store: Store) -> None:
    create(store)
    learner = store.get_learner("pets")
    checkpoint = Checkpoint("pets", "one", "/c", 10, 2, "a" * 64, "b" * 64, 5, NOW)
    store.transition("one", JobState.STARTING, attempt=1, start_checkpoint_id="zero")
    store.transition("one", JobState.RUNNING)
    moved = Learner(**{**learner.__dict__, "checkpoint_id": "one", "classes": ("cat", "dog"), "steps": 10})
    stale = Learner(**{**moved.__dict__, "revision": 7})
    with pytest.raises(FailedPrecondition):
        store.transition("one", JobState.SUCCEEDED, result={"exact": True}, learner=stale, checkpoint=checkpoint)
    assert store.get_job("one").state is JobState.RUNNING
    with pytest.raises(NotFound):
        store.get_checkpoint("pets", "one")
    done = store.transition("one", JobState.SUCCEEDED, result={"exact": True}, learner=moved, checkpoint=checkpoint)
    assert (done.attempt, done.start_checkpoint_id, done.result) == (1, "zero", {"exact": True})
    assert (done.started_at, done.ended_at) == (NOW, NOW)
    assert store.get_checkpoint("pets", "one") == checkpoint
    assert store.get_learner("pets").classes == ("cat", "dog")
    assert store.unfinished_jobs() == []


def test_the_first_to_say_where_a_job_is_tracked_is_right(store: Store) -> None:
    create(store)
    first = {"tracking_uri": "http://here", "experiment_id": "1", "run_id": "a"}
    store.set_tracking("one", first)
    store.set_tracking("one", {**first, "run_id": "b"})
    assert store.get_job("one").tracking == first


def test_a_learner_changed_by_somebody_else_is_not_overwritten(store: Store) -> None:
    create(store)
    learner = store.get_learner("pets")
    store.update_learner(learner)
    with pytest.raises(FailedPrecondition):
        store.update_learner(learner)


def test_checkpoints_of_a_learner_are_listed_newest_first(store: Store) -> None:
    store.create_job(a_job(), learner=a_learner(), fingerprint="f")
    store.create_job(a_job("two", "birds"), learner=a_learner("birds"), fingerprint="f")
    made = [Checkpoint("pets", f"c{step}", "/c", step, 2, "a" * 64, "b" * 64, 5, NOW) for step in (10, 20)]
    for checkpoint in made:
        store.put_checkpoint(checkpoint)
        store.put_checkpoint(checkpoint)
    asked = [("pets", "c10"), ("pets", "c20"), ("pets", "c30"), ("birds", "c10")] * 200
    assert store.get_checkpoints(asked) == {("pets", one.id): one for one in made}
    assert store.list_checkpoints("pets") == made[::-1]
    assert store.list_checkpoints("birds") == []
    with pytest.raises(NotFound):
        store.list_checkpoints("nobody")


def test_what_a_job_is_to_keep_survives_in_the_store(opened: Callable[[], Store]) -> None:
    work = TrainWork((FitStage(2),), CheckpointPolicy(10.0, 5, 3, KeepBest("accuracy", "max", 2), 4))
    first = opened()
    first.create_job(dataclasses.replace(a_job(), work=work), learner=a_learner(), fingerprint="f")
    first.close()
    again = opened()
    assert again.get_job("one").work == work
    again.close()


def test_there_is_no_way_back_from_a_wish_to_cancel(store: Store) -> None:
    create(store)
    for wanted in (Wanted.PAUSE, Wanted.RUN, Wanted.CANCEL, Wanted.CANCEL):
        assert store.set_wanted("one", wanted).wanted is wanted
    with pytest.raises(FailedPrecondition):
        store.set_wanted("one", Wanted.RUN)
    store.transition("one", JobState.CANCELLED)
    with pytest.raises(FailedPrecondition):
        store.set_wanted("one", Wanted.CANCEL)


def test_reasons_are_written_to_those_that_wait_and_to_no_others(store: Store) -> None:
    for name in ("queued", "running", "restarting", "untold"):
        create(store, a_job(name, name))
    for name in ("running", "restarting"):
        store.transition(name, JobState.STARTING, "starts", attempt=1)
    store.transition("restarting", JobState.RESTARTING, "a worker died")
    store.set_reasons(dict.fromkeys(("queued", "running", "restarting"), "needs 2 CPU slots"))
    reasons = {job.id: job.reason for job in store.unfinished_jobs()}
    assert reasons == {
        "queued": "needs 2 CPU slots",
        "running": "starts",
        "restarting": "needs 2 CPU slots",
        "untold": "waits",
    }
