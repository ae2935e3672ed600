"""Jobs in a store whose events say which they are, for tests of watching."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime

from support.watchers import text_of

from learnfleet.server import names
from learnfleet.server.domain import Job, JobKind, JobState, Learner, NewEvent, Resources, ShowWork
from learnfleet.server.store.base import Store
from learnfleet.trainer.spec import DataSpec, LearnerSpec

_MOST_AT_ONCE = 100


def put_job(store: Store, job_id: str) -> str:
    """A queued job on a learner of its own; its name. Its log has one event then."""
    now = datetime.now(UTC)
    learner = Learner(job_id, LearnerSpec(DataSpec("/data"), "resnet18"), now, now)
    job = Job(job_id, job_id, JobKind.SHOW, ShowWork(), Resources(), JobState.QUEUED, "", now, now)
    return names.job_name(store.create_job(job, learner=learner, fingerprint=job_id).id)


def write_log(
    store: Store,
    job_ids: list[str],
    total: int,
    notify: Callable[[str], None],
    *,
    until: int | None = None,
    seed: int = 0,
) -> None:
    """Bring each job's log to `total` events, now a few and now many at a time, and with the last one to its end.

    With `until` it stops at that event; a later call goes on from there.
    """
    chance = random.Random(seed)
    places = store.last_sequences(job_ids)
    last = total - 1 if until is None else until
    while places:
        job_id = chance.choice(list(places))
        place = places[job_id]
        count = min(chance.randint(1, _MOST_AT_ONCE), last - place)
        store.append_events(job_id, [_event(job_id, number) for number in range(place + 1, place + count + 1)])
        places[job_id] += count
        if places[job_id] == last:
            del places[job_id]
            if until is None:
                store.transition(job_id, JobState.CANCELLED)
        notify(job_id)


def _event(job_id: str, number: int) -> NewEvent:
    data = {"severity": "info", "message": text_of(names.job_name(job_id), number)}
    return NewEvent(f"log/{number}", "log", data, datetime.now(UTC), 1)
