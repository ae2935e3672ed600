"""The epoch table in plain text."""

from __future__ import annotations

import io
from datetime import UTC, datetime

from learnfleet.client.events import BadImage, EpochFinished, Event, Payload, StateChanged
from learnfleet.client.live import follow

EXPECTED = """\
restarting: a worker process died
     epoch  train_loss  valid_loss    accuracy        time
         0    1.500000    0.250000    0.900000       01:05
broken picture a.jpg: truncated (left out)
         1    1.250000    0.125000    0.950000     1:00:00
"""


def event(sequence: int, kind: str, payload: Payload) -> Event:
    return Event(sequence, datetime(2030, 1, 1, tzinfo=UTC), 1, kind, payload)


def test_plain_output_is_fastais_table_with_what_else_a_person_should_know() -> None:
    out = io.StringIO()
    events = [
        event(1, "state_changed", StateChanged("RUNNING", "")),
        event(2, "state_changed", StateChanged("RESTARTING", "a worker process died")),
        event(3, "epoch_finished", EpochFinished(0, 0, 10, 1.5, 0.25, {"accuracy": 0.9}, 65)),
        event(4, "bad_image", BadImage("a.jpg", "truncated", "skip")),
        event(5, "epoch_finished", EpochFinished(0, 1, 20, 1.25, 0.125, {"accuracy": 0.95}, 3600)),
    ]
    assert list(follow(events, out)) == events
    assert out.getvalue() == EXPECTED
