"""What every store promises of a job's events, and of lists of jobs (store/base.py)."""

from __future__ import annotations

import threading

import pytest
from support.store_values import NOW, a_job, a_learner, an_event, create

from learnfleet.server.domain import (
    JobState,
    NewEvent,
)
from learnfleet.server.errors import (
    InvalidArgument,
    NotFound,
)
from learnfleet.server.store.base import JobFilter, Page, Store


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


def test_names_of_files_that_are_not_utf8_are_kept_as_escapes_and_repeats_of_them_are_dropped(store: Store) -> None:
    create(store)
    event = NewEvent("bad_image/caf\udce9", "bad_image", {"path": "caf\udce9"}, NOW, 1)
    assert store.append_events("one", [event]) == store.append_events("one", [event]) == 2
    assert store.read_events("one", 1)[0].event.data == {"path": "caf\\udce9"}
    store.transition("one", JobState.FAILED, "caf\udce9 is truncated")
    assert store.get_job("one").reason == "caf\\udce9 is truncated"


def test_long_and_strange_ids_and_texts_are_kept_and_repeats_of_them_are_dropped(store: Store) -> None:
    create(store)
    events = [an_event("bad_image/" + "/".join(["folder"] * 700) + name) for name in ("one", "two")]
    assert store.append_events("one", events) == store.append_events("one", events) == 3
    store.transition("one", JobState.FAILED, "a NUL \0 in a message")
    assert store.get_job("one").reason == "a NUL \\x00 in a message"
