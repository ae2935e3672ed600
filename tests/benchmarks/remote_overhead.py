"""What it costs that a learner is remote: the same epochs through the service and in a process of one's own.

    python tests/benchmarks/remote_overhead.py [PHOTOS] [--epochs 2] [--rounds 5] [--size 128] [--json FILE]

resnet18 from random weights with accuracy, on a whole number of copies of the photos. On both sides one process trains,
with one thread for torch and the loader's own threads: a warm worker of a real server that is asked over gRPC, and a
process that holds the local learner. Contestants take turns. A call is `fit(epochs)` from the caller's side: for the
service with queueing, a checkpoint after each epoch, events, and the end of the job. An epoch is what each of them
itself says that its epochs took.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import photos
from timing import interleaved, report, rows_of

from learnfleet.client import Client, ImageDataBunch, RemoteLearner
from learnfleet.server.commands.local_server import local_server

_LR = 1e-3


@dataclass
class Timed:
    """Seconds an epoch, of the last call and by the side that trained."""

    call: Callable[[], list[float]]
    epochs: int
    own_s: float = 0.0

    def __call__(self) -> float:
        start = time.perf_counter()
        durations = self.call()
        took_s = time.perf_counter() - start
        self.own_s = sum(durations) / self.epochs
        return took_s / self.epochs


def train_here(folder: Path, size: int, epochs: int, pipe: Connection) -> None:
    """The local learner's process: trains each time that it is told to, and says how long each epoch took."""
    import torch

    from learnfleet.trainer import ImageDataBunch, cnn_learner
    from learnfleet.trainer.metric_functions import accuracy

    torch.set_num_threads(1)
    data = ImageDataBunch.from_folder(folder, valid="val", size=size, bs=32)
    learner = cnn_learner(data, "resnet18", pretrained=False, metrics=accuracy, silent=True)
    while pipe.recv() == "fit":
        learner.fit(epochs, _LR)
        pipe.send([row.time_s for row in learner.recorder.rows[-epochs:]])


def local_call(pipe: Connection) -> list[float]:
    pipe.send("fit")
    durations: list[float] = pipe.recv()
    return durations


def remote_call(learner: RemoteLearner, epochs: int) -> list[float]:
    job = learner.fit(epochs, _LR)
    return [event.payload.duration_s for event in job.watch() if event.kind == "epoch_finished"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", nargs="?", type=Path)
    for name, default in (("epochs", 2), ("rounds", 5), ("size", 128), ("pictures", 488)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"  # as workers have it; for the local learner's process
    context = multiprocessing.get_context("spawn")
    pipe, theirs = context.Pipe()
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        folder = photos.copies(photos.real_photos(args.photos, scratch), scratch / "photos", args.pictures)
        process = context.Process(target=train_here, args=(folder, args.size, args.epochs, theirs))
        process.start()
        theirs.close()  # so that its death is heard
        with (
            local_server(scratch / "data", [scratch], scratch / "server.log") as server,
            Client.connect(server.address) as client,
        ):
            data = ImageDataBunch.from_folder("photos", valid="val", size=args.size, bs=32)
            learner = client.cnn_learner(data, "resnet18", pretrained=False, metrics=["accuracy"], silent=True)
            remote = Timed(lambda: remote_call(learner, args.epochs), args.epochs)
            local = Timed(lambda: local_call(pipe), args.epochs)
            found, own = measure(remote, local, args.rounds)
        pipe.send("end")
        process.join()
    case = f"resnet18, {args.size} px, {args.pictures} photos"
    rows = rows_of(f"{case}, fit({args.epochs}) as it is called", "s an epoch", found, "through the service")
    rows += rows_of(f"{case}, the epochs themselves", "s an epoch", own, "through the service")
    report("The cost of being remote", rows, args.json)


def measure(remote: Timed, local: Timed, rounds: int) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """Seconds an epoch by contestant: of the calls, and by their own count."""
    own: dict[str, list[float]] = {"through the service": [], "local": []}

    def run(name: str, timed: Timed) -> float:
        took_s = timed()
        own[name].append(timed.own_s)
        return took_s

    runs = {"through the service": lambda: run("through the service", remote), "local": lambda: run("local", local)}
    found = interleaved(runs, rounds)
    return found, {name: values[-rounds:] for name, values in own.items()}


if __name__ == "__main__":
    main()
