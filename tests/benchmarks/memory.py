"""Resident memory after five epochs against that after one, in a process of its own for each case.

    python tests/benchmarks/memory.py [PHOTOS] [--epochs 5] [--json FILE]

A job as a worker runs it (`run_train`, a checkpoint every epoch) on photos: resnet18 at 128 px, with and without kept
pictures, and with all callbacks that hold something. The ratio is that of the last epoch to the first.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import photos
import psutil
import torch
from timing import Row, report

from learnfleet.trainer.build import build_learner
from learnfleet.trainer.callback import Callback
from learnfleet.trainer.data import ImageDataBunch
from learnfleet.trainer.run import RunContext, run_train
from learnfleet.trainer.spec import DataSpec, FitStage, LearnerSpec, LearningRate
from learnfleet.trainer.spec_base import Component
from learnfleet.trainer.state import TrainState

_HELD = (Component("mixup"), Component("ema"), Component("csv_logger"))
CASES: dict[str, dict[str, Any]] = {
    "resnet18, 128 px": {"cache_bytes": 0},
    "resnet18, 128 px, kept pictures": {"cache_bytes": 2**32},
    "resnet18, 128 px, mixup, EMA, CSV": {"cache_bytes": 0, "callbacks": _HELD},
}


class Watch(Callback):
    """Resident bytes at each epoch's end."""

    order = 1000

    def __init__(self) -> None:
        self.resident: list[int] = []

    def on_epoch_end(self, state: TrainState) -> None:
        self.resident.append(psutil.Process().memory_info().rss)


def train(case: str, folder: Path, scratch: Path, epochs: int) -> list[int]:
    options = dict(CASES[case])
    torch.set_num_threads(2)
    cache_bytes = options.pop("cache_bytes")
    spec = LearnerSpec(DataSpec(str(folder), valid="val", size=(128, 128), bs=32), "resnet18", **options)
    listed = build_learner(spec)
    listed.data = ImageDataBunch(
        listed.data.spec, listed.data.listing, seed=0, stats=listed.data.stats, threads=2, cache_bytes=cache_bytes
    )
    listed.path = scratch
    watch = Watch()
    listed.add_callbacks(watch)
    context = RunContext("memory", 1, lambda *_: None, lambda: False, scratch / "checkpoints")
    run_train(listed, [FitStage(epochs, LearningRate(value=1e-3))], context)
    return watch.resident


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", nargs="?", type=Path)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--case", choices=CASES, help="run this one here and print its bytes as JSON")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        if args.case:
            print(json.dumps(train(args.case, args.photos, Path(name), args.epochs)))
            return
        folder = photos.real_photos(args.photos, Path(name))
        rows = []
        for case in CASES:
            command = [sys.executable, __file__, str(folder), "--epochs", str(args.epochs), "--case", case]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            mib = [size / 2**20 for size in json.loads(done.stdout.splitlines()[-1])]
            rows.append(Row(case, f"after epoch {len(mib)}", "MiB", mib[-1], min(mib), max(mib), mib[-1] / mib[0]))
    report("Resident memory of a training process", rows, args.json)


if __name__ == "__main__":
    main()
