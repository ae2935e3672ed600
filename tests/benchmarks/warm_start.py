"""Time from `fit` to the first training step: with warm workers, against a cold start.

    python tests/benchmarks/warm_start.py [--rounds 7] [--json FILE]

One real server and two workers, by the clock that workers and caller share. Cold: the first call after the server
started, once. Warm: the calls after it, each a second after the end of the one before, when MLflow has heard of that.
The ratio is that of the warm median to each. The first step begins when the training loop does, and asks for its first
batch. Where the time goes is told, too: medians of what has happened so long after the call.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from timing import report, row_of

from learnfleet.client import Client, ImageDataBunch, RemoteLearner
from learnfleet.client.events import BatchFinished, Event, StateChanged
from learnfleet.server.commands.digits import write_digits
from learnfleet.server.commands.local_server import local_server

BATCH = 32
_PAUSE_S = 1.0
BEGINS, ENDS = "the first step begins", "the first step ends"


def moments_s(learn: RemoteLearner) -> dict[str, float]:
    """Seconds from the call to each moment on the way, in their order."""
    time.sleep(_PAUSE_S)
    called = datetime.now(UTC)
    job = learn.fit(1, 1e-3, wait=False)
    answered = datetime.now(UTC)
    events = list(job.watch())
    reached = {"the call is answered": answered, **dict(reached_in(events))}
    return {name: (time - called).total_seconds() for name, time in sorted(reached.items(), key=lambda item: item[1])}


def reached_in(events: Sequence[Event]) -> Iterator[tuple[str, datetime]]:
    for event in events:
        if isinstance(event.payload, StateChanged):
            yield f"the job is {event.payload.state}", event.time
        elif event.kind == "data_read":
            yield "the workers have their learner", event.time
        elif event.kind == "stage_started":
            yield "the stage starts", event.time
    batches = [(event.time, event.payload) for event in events if isinstance(event.payload, BatchFinished)]
    ended, first = batches[0]
    yield BEGINS, ended - timedelta(seconds=BATCH / first.samples_per_second)  # a rate since the epoch's beginning
    yield ENDS, ended


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_digits(folder / "digits", limit=300)
        with (
            local_server(folder / "data", [folder], folder / "server.log") as server,
            Client.connect(server.address) as client,
        ):
            data = ImageDataBunch.from_folder("digits", size=32, bs=BATCH)
            learn = client.cnn_learner(data, "resnet18", pretrained=False, num_workers=2, silent=True)
            cold = moments_s(learn)
            warm = [moments_s(learn) for _ in range(args.rounds)]
    print("\nwith warm workers, seconds after the call (median)")
    for moment in warm[0]:
        print(f"  {statistics.median(each[moment] for each in warm):7.3f}  {moment}")
    rows = []
    for moment in (BEGINS, ENDS):
        case, unit = f"fit, until {moment}, 2 workers", "s"
        values = [each[moment] for each in warm]
        ratio = statistics.median(values) / cold[moment]
        rows += [
            row_of(case, "warm workers", unit, values, 1.0),
            row_of(case, "cold start", unit, [cold[moment]], ratio),
        ]
    report("Starting to train through the service", rows, args.json)


if __name__ == "__main__":
    main()
