"""Time from `fit` to the first training step: with warm workers, against a cold start. One server, one run.

Usage: python tests/benchmarks/warm_start.py [repetitions]
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from learnfleet.client import Client, ImageDataBunch, RemoteLearner
from learnfleet.server.commands.digits import write_digits
from learnfleet.server.commands.local_server import local_server


def first_step_s(learn: RemoteLearner) -> float:
    """Seconds from the call to the end of the first step, by the clock that worker and caller share."""
    began = datetime.now(UTC).replace(tzinfo=None)
    job = learn.fit(1, 1e-3, wait=False)
    first = next(event for event in job.watch() if event.kind == "batch_finished")
    job.wait()
    return (first.time - began).total_seconds()


def main() -> None:
    repetitions = int(sys.argv[1]) if len(sys.argv) > 1 else 7
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
            warm = [first_step_s(learn) for _ in range(repetitions)]
    median = statistics.median(warm)
    print(f"cold start, server just started: {cold:.2f} s")
    print(f"warm: median {median:.3f} s, least {min(warm):.3f} s, most {max(warm):.3f} s of {repetitions}")
    print(f"warm / cold: {median / cold:.3f}")


if __name__ == "__main__":
    main()
