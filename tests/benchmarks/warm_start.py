"""Time from `fit` to the end of the first training step: with warm workers, against a cold start.

    python tests/benchmarks/warm_start.py [--rounds 7] [--json FILE]

One real server and two workers, by the clock that workers and caller share. Cold: the first call after the server
started, once. Warm: the calls after it. The ratio is that of the warm median to each.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from timing import report, row_of

from learnfleet.client import Client, ImageDataBunch, RemoteLearner
from learnfleet.server.commands.digits import write_digits
from learnfleet.server.commands.local_server import local_server


def first_step_s(learn: RemoteLearner) -> float:
    """Seconds from the call to the end of the first step."""
    began = datetime.now(UTC)
    job = learn.fit(1, 1e-3, wait=False)
    first = next(event for event in job.watch() if event.kind == "batch_finished")
    job.wait()
    return (first.time - began).total_seconds()


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
            data = ImageDataBunch.from_folder("digits", size=32, bs=32)
            learn = client.cnn_learner(data, "resnet18", pretrained=False, num_workers=2, silent=True)
            cold = first_step_s(learn)
            warm = [first_step_s(learn) for _ in range(args.rounds)]
    case, unit = "fit to the first step, 2 workers", "s"
    ratio = statistics.median(warm) / cold
    rows = [row_of(case, "warm workers", unit, warm, 1.0), row_of(case, "cold start", unit, [cold], ratio)]
    report("Starting to train through the service", rows, args.json)


if __name__ == "__main__":
    main()
