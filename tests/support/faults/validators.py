"""What must hold of every history. Each gives what it found wrong, in words; nothing found is an empty list."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from itertools import pairwise

from support.faults.history import Ended, History, Seen

from learnfleet.server.domain import TRANSITIONS, JobState

Validator = Callable[[History], list[str]]


def a_request_makes_one_job(history: History) -> list[str]:
    """All answers to one request name one job, and no two jobs are of one request."""
    answers = defaultdict[str, set[str]](set)
    for submit in history.submits:
        if submit.job is not None:
            answers[submit.request_id].add(submit.job)
    found = [f"{request}: made {sorted(jobs)}" for request, jobs in answers.items() if len(jobs) > 1]
    made = Counter(ended.request_id for ended in history.ended if ended.request_id)
    found += [f"{request}: {count} jobs are of it" for request, count in made.items() if count > 1]
    asked = {submit.request_id for submit in history.submits}
    return found + [f"{ended.job}: nobody asked for it" for ended in history.ended if ended.request_id not in asked]


def no_job_is_lost(history: History) -> list[str]:
    """Every job that a caller was told of is there, listed, and has ended."""
    ended = {item.job: item for item in history.ended}
    lost = history.acknowledged() - history.deleted - set(ended)
    found = [f"{job}: was acknowledged and is gone" for job in sorted(lost)]
    found += [f"{job}: was deleted and is there" for job in sorted(history.deleted & set(ended))]
    found += [f"{job}: is not listed" for job in sorted(set(ended) - set(history.listed))]
    return found + [f"{item.job}: is {item.state} for ever" for item in ended.values() if not _is_final(item.state)]


def states_follow_the_table(history: History) -> list[str]:
    """From QUEUED on by allowed steps, to one end, which is the state that the job has."""
    found = []
    for item in history.ended:
        states = [event.state for event in item.events if event.state]
        if not states or states[0] != "queued":
            found.append(f"{item.job}: begins with {states[:1]}")
        for now, then in pairwise(states):
            if JobState(then) not in TRANSITIONS[JobState(now)]:
                found.append(f"{item.job}: went from {now} to {then}")
        if states and states[-1] != item.state:
            found.append(f"{item.job}: is {item.state}, and its events end with {states[-1]}")
    return found


def events_are_numbered_without_gap(history: History) -> list[str]:
    return [f"{item.job}: {wrong}" for item in history.ended for wrong in _misnumbered(item.events)]


def watchers_see_every_event_once(history: History) -> list[str]:
    """Whatever happened to their connections, and with the content that the log has."""
    logs = {item.job: item.events for item in history.ended}
    found = []
    for watched in history.watched:
        who = f"{watched.job}, watcher {watched.watcher}"
        found += [f"{who}: {wrong}" for wrong in _misnumbered(watched.events)]
        log = logs.get(watched.job, ())
        if len(watched.events) != len(log):
            found.append(f"{who}: saw {len(watched.events)} of {len(log)} events")
        elif watched.events != log:
            nth = next(nth for nth, pair in enumerate(zip(watched.events, log, strict=True), 1) if pair[0] != pair[1])
            found.append(f"{who}: event {nth} is another one in the log")
    return found


def no_job_runs_twice(history: History) -> list[str]:
    """Attempts count up by one, an epoch is told once, and no attempt tells anything after the next has begun."""
    found = []
    for item in history.ended:
        begun = [event.attempt for event in item.events if event.state == "starting"]
        if begun != list(range(1, len(begun) + 1)):
            found.append(f"{item.job}: attempts {begun} were begun")
        epochs = [event.epoch for event in item.events if event.epoch >= 0]
        if epochs != list(range(len(epochs))):
            found.append(f"{item.job}: epochs {epochs} were told")
        found += _overlaps(item)
    return found


def a_cancelled_job_stops(history: History) -> list[str]:
    """One whose cancellation was acknowledged did not go on to another end."""
    cancelled = {cancel.job for cancel in history.cancels}
    return [
        f"{item.job}: was cancelled and {item.state}" for item in history.of(cancelled) if item.state != "cancelled"
    ]


def mlflow_has_every_point_once(history: History) -> list[str]:
    found = []
    for item in history.ended:
        if item.points is None:
            continue
        epochs = sum(1 for event in item.events if event.epoch >= 0)
        losses = Counter((name, step) for name, step, _ in item.points if name == "valid_loss")
        if len(losses) != epochs or any(count > 1 for count in losses.values()):
            found.append(f"{item.job}: {epochs} epochs, and MLflow has valid_loss at {sorted(losses.elements())}")
    return found


ALL: Sequence[Validator] = (
    a_request_makes_one_job,
    no_job_is_lost,
    states_follow_the_table,
    events_are_numbered_without_gap,
    watchers_see_every_event_once,
    no_job_runs_twice,
    a_cancelled_job_stops,
    mlflow_has_every_point_once,
)


def violations(history: History) -> dict[str, list[str]]:
    """What each validator found, by its name; only those that found something."""
    found = {validator.__name__: validator(history) for validator in ALL}
    return {name: wrong for name, wrong in found.items() if wrong}


def _is_final(state: str) -> bool:
    return JobState(state).final


def _misnumbered(events: Sequence[Seen]) -> list[str]:
    numbers = [event.sequence for event in events]
    if numbers == list(range(1, len(numbers) + 1)):
        return []
    pairs = pairwise([0, *numbers])
    return [f"event {then} comes after {now}" for now, then in pairs if then != now + 1][:3]


def _overlaps(item: Ended) -> list[str]:
    spans: dict[int, tuple[float, float]] = {}
    for told in item.journals:
        first, last = spans.get(told.attempt, (told.first_s, told.last_s))
        spans[told.attempt] = (min(first, told.first_s), max(last, told.last_s))
    found = []
    for now, then in pairwise(sorted(spans)):
        if spans[then][0] < spans[now][1]:
            found.append(f"{item.job}: attempt {now} was at work when attempt {then} had begun")
    return found
