"""What the loop costs: a bare PyTorch loop against `Learner.fit` with Recorder and accuracy, on ready-made batches.

    python tests/benchmarks/loop_overhead.py [--steps 12] [--repeats 7] [--batch 32] [--side 64]

Both do the same work: forward, cross entropy, backward, fused AdamW, the loss read out, then accuracy over the same
batches. Repetitions alternate, each from a fresh model, so that a slow moment of the machine hits both. Prints JSON
lines and a table; the target is a ratio of at most 1.05.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import ClassVar

import torch
import torchvision
from torch import nn

from learnfleet.trainer.batch import Batch, Loader, Shard
from learnfleet.trainer.data import DatasetType
from learnfleet.trainer.learner import Learner
from learnfleet.trainer.metric_functions import accuracy


class ReadyBatches:
    """The same batches in every epoch."""

    def __init__(self, batches: list[Batch], batch_size: int) -> None:
        self._batches, self.batch_size = batches, batch_size

    def __len__(self) -> int:
        return len(self._batches)

    def epoch(self, epoch: int, start_batch: int = 0) -> Iterator[Batch]:
        return iter(self._batches[start_batch:])

    def shard(self, shard: Shard) -> None:
        assert shard == Shard()


class ReadyData:
    """Random batches for training and validation."""

    classes: ClassVar = [str(index) for index in range(10)]
    c = 10
    path = Path()
    device = torch.device("cpu")

    def __init__(self, steps: int, make_batch: Callable[[], Batch], batch_size: int) -> None:
        batches = [make_batch() for _ in range(steps)]
        self.train_dl = ReadyBatches(batches, batch_size)
        self.valid_dl = ReadyBatches(batches[: max(steps // 4, 1)], batch_size)

    def dl(self, ds_type: DatasetType) -> Loader:
        return self.train_dl if ds_type is DatasetType.Train else self.valid_dl

    def shard(self, shard: Shard) -> None:
        assert shard == Shard()


def run_bare(model: nn.Module, data: ReadyData) -> None:
    """One epoch as one would write it by hand."""
    optimizer = torch.optim.AdamW(model.parameters(), 1e-3, (0.9, 0.99), weight_decay=0.01, fused=True)
    model.train()
    for batch in data.train_dl.epoch(0):
        loss = nn.functional.cross_entropy(model(batch.x), batch.y)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        loss.item()
    model.eval()
    correct, loss_sum = 0, 0.0
    with torch.no_grad():
        for batch in data.valid_dl.epoch(0):
            output = model(batch.x)
            loss_sum += nn.functional.cross_entropy(output, batch.y).item() * len(batch.y)
            correct += int((output.argmax(1) == batch.y).sum())


def run_learner(model: nn.Module, data: ReadyData) -> None:
    """The same epoch by the Learner."""
    Learner(data, model, metrics=accuracy, silent=True).fit(1, 1e-3)


def measure(make_model: Callable[[], nn.Module], data: ReadyData, repeats: int) -> dict[str, float]:
    """Seconds a training step of both, interleaved."""
    runs: dict[str, Callable[[nn.Module, ReadyData], None]] = {"bare": run_bare, "learner": run_learner}
    times: dict[str, list[float]] = {name: [] for name in runs}
    for repeat in range(repeats + 1):
        for name, run in runs.items() if repeat % 2 else reversed(runs.items()):
            torch.manual_seed(0)
            model = make_model()
            start = time.perf_counter()
            run(model, data)
            if repeat:  # the first is warm-up
                times[name].append((time.perf_counter() - start) / len(data.train_dl))
    ratios = [own / bare for own, bare in zip(times["learner"], times["bare"], strict=True)]
    return {
        "bare_ms": statistics.median(times["bare"]) * 1e3,
        "learner_ms": statistics.median(times["learner"]) * 1e3,
        "bare_spread_ms": (max(times["bare"]) - min(times["bare"])) * 1e3,
        "learner_spread_ms": (max(times["learner"]) - min(times["learner"])) * 1e3,
        "ratio_of_medians": statistics.median(times["learner"]) / statistics.median(times["bare"]),
        "ratio_of_minima": min(times["learner"]) / min(times["bare"]),
        "median_ratio": statistics.median(ratios),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    for name, default in (("steps", 12), ("repeats", 7), ("batch", 32), ("side", 64), ("threads", 1)):
        parser.add_argument(f"--{name}", type=int, default=default)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)

    def pictures() -> Batch:
        x = torch.randn(args.batch, 3, args.side, args.side)
        return Batch(x, torch.randint(10, (args.batch,)), torch.arange(args.batch))

    def vectors() -> Batch:
        return Batch(torch.randn(args.batch, 16), torch.randint(10, (args.batch,)), torch.arange(args.batch))

    cases = {
        f"resnet18 {args.side} px, batch {args.batch}": measure(
            lambda: torchvision.models.resnet18(num_classes=10),
            ReadyData(args.steps, pictures, args.batch),
            args.repeats,
        ),
        "linear layer": measure(lambda: nn.Linear(16, 10), ReadyData(500, vectors, args.batch), args.repeats),
    }
    for name, result in cases.items():
        print(json.dumps({"case": name, **{key: round(value, 4) for key, value in result.items()}}))
    print(f"\n{'case':<28}{'bare ms':>10}{'learner ms':>12}{'ratio':>8}{'us more a step':>16}")
    for name, result in cases.items():
        more_us = (result["learner_ms"] - result["bare_ms"]) * 1e3
        print(
            f"{name:<28}{result['bare_ms']:>10.3f}{result['learner_ms']:>12.3f}{result['ratio_of_medians']:>8.3f}{more_us:>16.1f}"
        )


if __name__ == "__main__":
    main()
