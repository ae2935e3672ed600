"""What a training loop costs beside the computation, on ready-made batches: learnfleet, a bare PyTorch loop and others.

    python tests/benchmarks/loop_overhead.py [--rounds 7] [--steps 24] [--batch 32] [--side 64] [--json FILE]

All do the same work: forward, cross entropy, backward, fused AdamW, the loss of every step noted, then loss and
accuracy over a quarter of the batches. Rounds alternate, each from a fresh model, so that a slow moment of the machine
hits all. The time is that of a whole fit of one epoch, over its steps. accelerate brings no loop: its contestant is the
loop of its documentation, with a loader that it has prepared.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import ClassVar

import torch
import torchvision
from peers import adam_w, fastai_learner, fit_fastai, fit_lightning, lightning_module, quiet
from timing import Row, interleaved, median_ratio, report, rows_of
from torch import Tensor, nn

from learnfleet.trainer.batch import Batch, Loader, Shard
from learnfleet.trainer.data import DatasetType
from learnfleet.trainer.learner import Learner
from learnfleet.trainer.metric_functions import accuracy

_OWN = "learnfleet"
Run = Callable[[nn.Module, "ReadyData"], None]


class ReadyBatches:
    """The same batches in every epoch."""

    def __init__(self, batches: list[Batch], batch_size: int) -> None:
        self.pairs = [(batch.x, batch.y) for batch in batches]
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


class Pairs:
    """What fastai and Lightning ask of a loader."""

    dataset, device, n_inp, drop_last = (), torch.device("cpu"), 1, True

    def __init__(self, pairs: list[tuple[Tensor, Tensor]]) -> None:
        self._pairs = pairs

    def __len__(self) -> int:
        return len(self._pairs)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        return iter(self._pairs)

    def to(self, device: torch.device) -> Pairs:
        return self


def run_bare(model: nn.Module, data: ReadyData) -> None:
    """One epoch as one would write it by hand."""
    optimizer, losses = adam_w(model), []
    model.train()
    for x, y in data.train_dl.pairs:
        loss = nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    model.eval()
    correct, loss_sum = 0, 0.0
    with torch.no_grad():
        for x, y in data.valid_dl.pairs:
            output = model(x)
            loss_sum += nn.functional.cross_entropy(output, y).item() * len(y)
            correct += int((output.argmax(1) == y).sum())


def run_learner(model: nn.Module, data: ReadyData) -> None:
    """The same epoch by the Learner."""
    Learner(data, model, metrics=accuracy, silent=True).fit(1, 1e-3)


def run_accelerate(model: nn.Module, data: ReadyData) -> None:
    from accelerate import Accelerator
    from torch.utils.data import DataLoader

    accelerator = Accelerator(cpu=True)
    loaders = [DataLoader(part.pairs, batch_size=None) for part in (data.train_dl, data.valid_dl)]
    model, optimizer, train, valid = accelerator.prepare(model, adam_w(model), *loaders)
    losses = []
    model.train()
    for x, y in train:
        with accelerator.accumulate(model):
            loss = nn.functional.cross_entropy(model(x), y)
            accelerator.backward(loss)
            optimizer.step()
            optimizer.zero_grad()
        losses.append(loss.item())
    model.eval()
    correct, loss_sum = 0, 0.0
    with torch.no_grad():
        for x, y in valid:
            output = model(x)
            loss_sum += nn.functional.cross_entropy(output, y).item() * len(y)
            outputs, targets = accelerator.gather_for_metrics((output, y))
            correct += int((outputs.argmax(1) == targets).sum())


def run_fastai(model: nn.Module, data: ReadyData) -> None:
    from fastai.learner import DataLoaders

    fit_fastai(fastai_learner(DataLoaders(Pairs(data.train_dl.pairs), Pairs(data.valid_dl.pairs)), model))


def run_lightning(model: nn.Module, data: ReadyData) -> None:
    fit_lightning(lightning_module(model), Pairs(data.train_dl.pairs), Pairs(data.valid_dl.pairs))


PEERS: dict[str, Run] = {"fastai": run_fastai, "lightning": run_lightning, "accelerate": run_accelerate}


def measure(
    case: str, make_model: Callable[[], nn.Module], data: ReadyData, rounds: int, peers: dict[str, Run]
) -> list[Row]:
    """Milliseconds a training step."""

    def timed(run: Run) -> float:
        torch.manual_seed(0)
        model = make_model()
        start = time.perf_counter()
        run(model, data)
        return (time.perf_counter() - start) / len(data.train_dl) * 1e3

    runs: dict[str, Run] = {_OWN: run_learner, "bare PyTorch": run_bare, **peers}
    found = interleaved({name: partial(timed, run) for name, run in runs.items()}, rounds)
    for name, values in found.items():
        if name != "bare PyTorch":
            ratio = median_ratio(values, found["bare PyTorch"])
            more = sorted(a - b for a, b in zip(values, found["bare PyTorch"], strict=True))[rounds // 2] * 1e3
            print(f"{case}: {name} takes {ratio:.3f} times as long as bare PyTorch, {more:.0f} us a step more")
    return rows_of(case, "ms a step", found, _OWN)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("steps", 24), ("rounds", 7), ("batch", 32), ("side", 64), ("threads", 1)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--no-peers", action="store_true", help="bare PyTorch alone")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    quiet()

    def pictures() -> Batch:
        x = torch.randn(args.batch, 3, args.side, args.side)
        return Batch(x, torch.randint(10, (args.batch,)), torch.arange(args.batch))

    def vectors() -> Batch:
        return Batch(torch.randn(args.batch, 16), torch.randint(10, (args.batch,)), torch.arange(args.batch))

    peers = {} if args.no_peers else PEERS
    small = ReadyData(2000, vectors, args.batch)
    rows = measure("one linear layer", lambda: nn.Linear(16, 10), small, args.rounds, peers)
    resnet = partial(torchvision.models.resnet18, num_classes=10)
    large = ReadyData(args.steps, pictures, args.batch)
    rows += measure(f"resnet18, {args.side} px, batches of {args.batch}", resnet, large, args.rounds, peers)
    report("The loop, on ready-made batches", rows, args.json)


if __name__ == "__main__":
    main()
