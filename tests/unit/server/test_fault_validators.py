"""The validators of the fault harness find what is wrong with a history, and nothing where nothing is."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.faults.history import Cancel, Ended, History, Seen, Submit, Told, Watched
from support.faults.validators import violations

STATES = ("queued", "starting", "running", "succeeded")


def events(states: tuple[str, ...] = STATES, epochs: int = 2) -> tuple[Seen, ...]:
    """Of a job with these states; its epochs end before its last state."""
    begun = 0
    found = []
    for state in states[:-1]:
        begun += state == "starting"
        found.append(Seen(0, "state_changed", state.encode(), state, begun))
    found += [Seen(0, "epoch_finished", b"%d" % epoch, "", begun, epoch) for epoch in range(epochs)]
    found.append(Seen(0, "state_changed", states[-1].encode(), states[-1], begun))
    return tuple(replace(event, sequence=nth) for nth, event in enumerate(found, 1))


def a_history() -> History:
    """Two requests, one of them sent twice, one job each; all as it should be."""
    one = Ended("jobs/1", "r1", "succeeded", 1, events())
    two = Ended("jobs/2", "r2", "cancelled", 1, events(("queued", "starting", "running", "cancelling", "cancelled")))
    submits = [Submit("r1", None), Submit("r1", "jobs/1"), Submit("r1", "jobs/1"), Submit("r2", "jobs/2")]
    watched = [Watched("jobs/1", 1, one.events), Watched("jobs/2", 2, two.events)]
    return History(submits, [Cancel("jobs/2")], watched, [one, two], ["jobs/1", "jobs/2"])


def of_first(history: History, **changes: object) -> None:
    history.ended[0] = replace(history.ended[0], **changes)  # type: ignore[arg-type]


def test_nothing_is_found_where_nothing_is_wrong() -> None:
    assert violations(a_history()) == {}


def test_a_job_that_is_gone_is_lost() -> None:
    history = a_history()
    del history.ended[0], history.watched[0]
    assert violations(history) == {"no_job_is_lost": ["jobs/1: was acknowledged and is gone"]}


def test_a_job_that_never_ends_is_lost() -> None:
    history = a_history()
    running = STATES[:3]
    of_first(history, state="running", events=events(running, 0))
    history.watched.pop(0)
    assert set(violations(history)) == {"no_job_is_lost"}


def test_two_jobs_of_one_request_are_found_by_the_answers_and_by_the_jobs() -> None:
    history = a_history()
    history.submits.append(Submit("r1", "jobs/3"))
    history.ended.append(replace(history.ended[0], job="jobs/3"))
    history.listed.append("jobs/3")
    assert len(violations(history)["a_request_makes_one_job"]) == 2


def test_a_job_that_nobody_asked_for_is_found() -> None:
    history = a_history()
    of_first(history, request_id="r9")
    assert "jobs/1: nobody asked for it" in violations(history)["a_request_makes_one_job"]


@pytest.mark.parametrize(
    "states",
    [
        ("queued", "running", "succeeded"),
        ("starting", "running", "succeeded"),
        (*STATES, "starting", "running", "succeeded"),
        ("queued", "starting", "running", "failed"),
    ],
)
def test_states_that_do_not_follow_are_found(states: tuple[str, ...]) -> None:
    history = a_history()
    of_first(history, events=events(states))
    history.watched.pop(0)
    assert "states_follow_the_table" in violations(history)


@pytest.mark.parametrize("change", ["gap", "repeat", "short", "other"])
def test_a_watcher_that_saw_something_else_is_found(change: str) -> None:
    history = a_history()
    log = history.ended[0].events
    seen = {
        "gap": log[:2] + log[3:],
        "repeat": log[:2] + log[1:],
        "short": log[:-1],
        "other": (replace(log[0], content=b"?"), *log[1:]),
    }[change]
    history.watched[0] = replace(history.watched[0], events=seen)
    assert set(violations(history)) == {"watchers_see_every_event_once"}


def test_a_log_with_a_gap_is_found() -> None:
    history = a_history()
    log = history.ended[0].events
    of_first(history, events=log[:1] + tuple(replace(event, sequence=event.sequence + 1) for event in log[1:]))
    assert "events_are_numbered_without_gap" in violations(history)


def test_an_epoch_that_is_told_twice_or_an_attempt_that_is_begun_twice_has_run_twice() -> None:
    history = a_history()
    log = list(history.ended[0].events)
    log[4] = replace(log[4], epoch=0)
    of_first(history, events=tuple(log))
    assert "jobs/1: epochs [0, 0] were told" in violations(history)["no_job_runs_twice"]


def test_attempts_that_are_at_work_at_the_same_time_are_found() -> None:
    history = a_history()
    of_first(history, journals=(Told(1, 0, 10.0, 20.0), Told(1, 1, 10.0, 21.0), Told(2, 0, 20.5, 30.0)))
    assert violations(history) == {"no_job_runs_twice": ["jobs/1: attempt 1 was at work when attempt 2 had begun"]}


def test_a_cancelled_job_that_goes_on_is_found() -> None:
    history = a_history()
    history.cancels.append(Cancel("jobs/1"))
    assert violations(history) == {"a_cancelled_job_stops": ["jobs/1: was cancelled and succeeded"]}


@pytest.mark.parametrize("steps", [[1], [1, 2, 2]])
def test_points_that_mlflow_lacks_or_has_twice_are_found(steps: list[int]) -> None:
    history = a_history()
    of_first(history, points=tuple(("valid_loss", step, 0.5) for step in steps))
    assert set(violations(history)) == {"mlflow_has_every_point_once"}
