"""How long the training loop stands still for a checkpoint of resnet50 with Adam, against torch.save and one step.

    python tests/benchmarks/checkpoint_block.py [--checkpoints 8] [--every 3] [--side 64] [--batch 8] [--ema]
        [--json FILE]

Training through `run_train`, as a worker runs it, on ready-made batches. A checkpoint falls due every `--every` steps;
what is timed is the event in which it is taken, on the training thread. Steps between two checkpoints are timed, too:
those while a checkpoint is being written, which shares the machine, and the others. torch.save writes the same tensors
from the training thread and forces them to the disk. With `--ema` an average of the weights is kept, and saved, too.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torchvision
from loop_overhead import ReadyData
from timing import Row, report

from learnfleet.trainer import run_callbacks
from learnfleet.trainer.batch import Batch
from learnfleet.trainer.callback import Callback
from learnfleet.trainer.ema import EMACallback
from learnfleet.trainer.learner import Learner
from learnfleet.trainer.run import RunContext, run_train
from learnfleet.trainer.spec import FitStage, LearningRate
from learnfleet.trainer.state import TrainState


class Clock(Callback):
    """When each batch began and ended, just before and after the callback that takes checkpoints."""

    def __init__(self, order: int, note: Callable[[float], None]) -> None:
        self.order, self._note = order, note  # type: ignore[misc]

    def on_batch_end(self, state: TrainState) -> None:
        if state.train:
            self._note(time.perf_counter())


def torch_save_ms(learner: Learner, folder: Path) -> float:
    start = time.perf_counter()
    with (folder / "all.pt").open("wb") as file:
        everything = {"model": learner.model.state_dict(), "opt": learner.require_optimizer().inner.state_dict()}
        averages = [callback.tensors() for callback in learner.callbacks if isinstance(callback, EMACallback)]
        torch.save({**everything, "averages": averages}, file)
        file.flush()
        os.fsync(file.fileno())
    return (time.perf_counter() - start) * 1e3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("checkpoints", 8), ("every", 3), ("side", 64), ("batch", 8), ("threads", 1)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--ema", action="store_true")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    warnings.filterwarnings("ignore")

    def pictures() -> Batch:
        x = torch.randn(args.batch, 3, args.side, args.side)
        return Batch(x, torch.randint(10, (args.batch,)), torch.arange(args.batch))

    data = ReadyData(args.checkpoints * args.every + 1, pictures, args.batch)
    data.valid_dl = None  # type: ignore[assignment]
    before: list[float] = []
    after: list[float] = []
    order = run_callbacks.Checkpoints.order
    learner = Learner(data, torchvision.models.resnet50(num_classes=10), silent=True)
    averages = [EMACallback(learner)] if args.ema else []
    learner.callbacks = [*averages, Clock(order - 1, before.append), Clock(order + 1, after.append)]

    def emit(event_id: str, kind: str, data: dict[str, Any]) -> None:
        """Nobody listens."""

    with tempfile.TemporaryDirectory(dir=Path.cwd()) as name:
        folder = Path(name)
        context = RunContext("bench", 1, emit, lambda: False, folder, None, args.every)
        run_train(learner, [FitStage(1, LearningRate(value=1e-3))], context)
        saves = [torch_save_ms(learner, folder) for _ in range(3)]
    blocked = [(b - a) * 1e3 for a, b in zip(before, after, strict=True)]
    taken = [ms for number, ms in enumerate(blocked, 1) if number % args.every == 0]
    steps = [(a - b) * 1e3 for a, b in zip(before[1:], after, strict=False)]
    others = [ms for number, ms in enumerate(blocked, 1) if number % args.every]
    print(
        f"the first checkpoint: {taken[0]:.1f} ms; the event without a checkpoint: {statistics.median(others):.3f} ms"
    )
    own = statistics.median(taken)
    found = {"learnfleet, loop stands still": taken, "torch.save, synced": saves, "one training step": steps}
    case = "resnet50, Adam, EMA, 408 MB" if args.ema else "resnet50, Adam, 306 MB"
    rows = [
        Row(case, name, "ms", statistics.median(v), min(v), max(v), own / statistics.median(v))
        for name, v in found.items()
    ]
    report("Checkpoints while training", rows, args.json)


if __name__ == "__main__":
    main()
