"""What every store promises (store/base.py). New stores join by a line in `store_url`."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from support.postgres import PostgresServer

from learnfleet.server.domain import (
    TRANSITIONS,
    Checkpoint,
    CheckpointPolicy,
    Group,
    IllegalTransition,
    Job,
    JobKind,
    JobState,
    Learner,
    NewEvent,
    Resources,
    TrainWork,
    Wanted,
)
from learnfleet.server.errors import (
    AlreadyExists,
    Deposed,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    ResourceExhausted,
)
from learnfleet.server.store.base import JobFilter, Page, Store
from learnfleet.server.store.lease import Lease
from learnfleet.server.store.sql import SqlStore
from learnfleet.trainer.keep_policy import KeepBest
from learnfleet.trainer.spec import DataSpec, FitStage, LearnerSpec

NOW = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Of an empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'store.db'}"
    server: PostgresServer = request.getfixturevalue("postgres")
    return server.new_schema()


@pytest.fixture
def opened(store_url: str) -> Callable[[], Store]:
    return lambda: SqlStore(store_url, lambda: NOW)


@pytest.fixture
def store(opened: Callable[[], Store]) -> Iterator[Store]:
    made = opened()
    yield made
    made.close()


def a_learner(learner_id: str = "pets") -> Learner:
    return Learner(learner_id, LearnerSpec(DataSpec("/data"), "resnet18"), NOW, NOW)


def a_job(job_id: str = "one", learner_id: str = "pets", request_id: str | None = None) -> Job:
    work = TrainWork((FitStage(2),))
    return Job(
        job_id,
        learner_id,
        JobKind.TRAIN,
        work,
        Resources(2),
        JobState.QUEUED,
        "waits",
        NOW,
        NOW,
        request_id=request_id,
    )


def an_event(event_id: str, kind: str = "log") -> NewEvent:
    return NewEvent(event_id, kind, {"id": event_id}, NOW + timedelta(seconds=1), 1)


def create(store: Store, job: Job | None = None, *, new_learner: bool = True, fingerprint: str = "f") -> Job:
    job = job or a_job()
    return store.create_job(job, learner=a_learner(job.learner_id) if new_learner else None, fingerprint=fingerprint)


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


def test_events_are_numbered_without_gaps_and_repeats_are_dropped(store: Store) -> None:
    create(store)
    assert store.append_events("one", [an_event("a"), an_event("b"), an_event("a")]) == 3
    assert store.append_events("one", [an_event("b"), an_event("c", "batch")]) == 4
    assert store.append_events("one", []) == 4
    store.transition("one", JobState.STARTING)
    read = store.read_events("one", after=0)
    assert [stored.sequence for stored in read] == [1, 2, 3, 4, 5]
    assert [stored.event.kind for stored in read] == ["state", "log", "log", "batch", "state"]
    assert read[3].event == an_event("c", "batch")
    assert store.read_events("one", after=3, limit=1) == read[3:4]
    assert store.get_job("one").progress == {"id": "c"}
    with pytest.raises(NotFound):
        store.append_events("nobody", [an_event("a")])
    with pytest.raises(NotFound):
        store.read_events("nobody", 0)


def test_a_page_of_a_log_says_whether_it_is_the_end(store: Store) -> None:
    create(store)
    store.append_events("one", [an_event("a"), an_event("b")])
    page = store.read_log("one", after=1, limit=10)
    assert (page.events, page.is_over) == (store.read_events("one", 1), False)
    store.transition("one", JobState.CANCELLED)
    assert [store.read_log("one", after, limit=2).is_over for after in (0, 1, 2, 4, 9)] == [
        False,
        False,
        True,
        True,
        True,
    ]
    assert [stored.sequence for stored in store.read_log("one", 2, 2).events] == [3, 4]
    assert store.last_sequences(["one", "nobody"]) == {"one": 4}
    assert store.last_sequences([]) == {}
    with pytest.raises(NotFound):
        store.read_log("nobody", 0, 10)


def test_threads_that_append_at_the_same_time_lose_and_repeat_nothing(store: Store) -> None:
    create(store)

    def write(writer: int) -> None:
        for number in range(20):
            store.append_events("one", [an_event(f"{writer}/{number}"), an_event(f"shared/{number}")])

    threads = [threading.Thread(target=write, args=(writer,)) for writer in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    read = store.read_events("one", 0)
    assert [stored.sequence for stored in read] == list(range(1, 1 + 1 + 4 * 20 + 20))
    assert len({stored.event.id for stored in read}) == len(read)


def test_pages_are_newest_first_complete_and_do_not_overlap(store: Store) -> None:
    create(store, a_job("job-0"))
    for number in range(1, 5):
        create(store, a_job(f"job-{number}"), new_learner=False)
    store.transition("job-1", JobState.CANCELLED)
    first, token = store.list_jobs(Page(limit=3))
    second, end = store.list_jobs(Page(limit=3, token=token))
    assert [job.id for job in first + second] == [f"job-{number}" for number in (4, 3, 2, 1, 0)]
    assert end == ""
    cancelled, _ = store.list_jobs(Page(), JobFilter(learner_id="pets", states=(JobState.CANCELLED,)))
    assert [job.id for job in cancelled] == ["job-1"]
    with pytest.raises(InvalidArgument):
        store.list_jobs(Page(token="made-up"))


def test_the_first_to_say_where_a_job_is_tracked_is_right(store: Store) -> None:
    create(store)
    first = {"tracking_uri": "http://here", "experiment_id": "1", "run_id": "a"}
    store.set_tracking("one", first)
    store.set_tracking("one", {**first, "run_id": "b"})
    assert store.get_job("one").tracking == first


def test_the_active_job_of_a_learner_is_its_oldest_at_work_else_its_oldest_queued(store: Store) -> None:
    create(store, a_job("job-0"))
    for number in range(1, 4):
        create(store, a_job(f"job-{number}"), new_learner=False)
    store.create_job(a_job("other", "birds"), learner=a_learner("birds"), fingerprint="f")
    assert store.active_jobs(["pets", "birds", "nobody"]) == {"pets": "job-0", "birds": "other"}
    for number in (3, 2):
        store.transition(f"job-{number}", JobState.STARTING)
    assert store.active_jobs(["pets"]) == {"pets": "job-2"}
    for number in range(4):
        store.transition(f"job-{number}", JobState.FAILED)
    assert store.active_jobs(["pets", "birds"]) == {"birds": "other"}


def test_a_consumer_is_behind_until_its_cursor_has_caught_up_and_never_goes_back(store: Store) -> None:
    create(store)
    assert store.jobs_behind("mlflow") == ["one"]
    last = store.append_events("one", [an_event("a")])
    store.advance_cursor("mlflow", "one", last)
    store.advance_cursor("mlflow", "one", 1)
    assert store.cursor("mlflow", "one") == last
    assert store.jobs_behind("mlflow") == []
    assert store.jobs_behind("somebody-else") == ["one"]


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


def test_a_learner_changed_by_somebody_else_is_not_overwritten(store: Store) -> None:
    create(store)
    learner = store.get_learner("pets")
    store.update_learner(learner)
    with pytest.raises(FailedPrecondition):
        store.update_learner(learner)


def test_names_of_files_that_are_not_utf8_are_kept_as_escapes_and_repeats_of_them_are_dropped(store: Store) -> None:
    create(store)
    event = NewEvent("bad_image/caf\udce9", "bad_image", {"path": "caf\udce9"}, NOW, 1)
    assert store.append_events("one", [event]) == store.append_events("one", [event]) == 2
    assert store.read_events("one", 1)[0].event.data == {"path": "caf\\udce9"}
    store.transition("one", JobState.FAILED, "caf\udce9 is truncated")
    assert store.get_job("one").reason == "caf\\udce9 is truncated"


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


def test_there_is_no_way_back_from_a_wish_to_cancel(store: Store) -> None:
    create(store)
    for wanted in (Wanted.PAUSE, Wanted.RUN, Wanted.CANCEL, Wanted.CANCEL):
        assert store.set_wanted("one", wanted).wanted is wanted
    with pytest.raises(FailedPrecondition):
        store.set_wanted("one", Wanted.RUN)
    store.transition("one", JobState.CANCELLED)
    with pytest.raises(FailedPrecondition):
        store.set_wanted("one", Wanted.CANCEL)


def test_what_tenants_have_used_is_added_up(opened: Callable[[], Store]) -> None:
    first = opened()
    assert first.usage(60) == {}
    first.add_usage({"a": 10.0, "b": 1.0}, 60)
    first.add_usage({"a": 5.0, "c": 2.0}, 60)
    first.close()
    again = opened()
    assert again.usage(60) == {"a": 15.0, "b": 1.0, "c": 2.0}
    again.close()


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


def test_long_and_strange_ids_and_texts_are_kept_and_repeats_of_them_are_dropped(store: Store) -> None:
    create(store)
    events = [an_event("bad_image/" + "/".join(["folder"] * 700) + name) for name in ("one", "two")]
    assert store.append_events("one", events) == store.append_events("one", events) == 3
    store.transition("one", JobState.FAILED, "a NUL \0 in a message")
    assert store.get_job("one").reason == "a NUL \\x00 in a message"


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
