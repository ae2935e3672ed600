"""In-memory data and small models for tests of the learner: no files, no pictures."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from learnfleet.trainer.batch import Batch, Shard
from learnfleet.trainer.data import DatasetType
from learnfleet.trainer.layer_groups import split_model
from learnfleet.trainer.learner import Learner


class MemoryLoader:
    """Tensors as batches. A training loader shuffles by the epoch and drops the last partial batch."""

    def __init__(self, x: Tensor, y: Tensor, batch_size: int, *, train: bool) -> None:
        self.x, self.y, self.batch_size, self._train = x, y, batch_size, train
        self._shard = Shard()
        self.closed = 0  # iterators that were given back

    def __len__(self) -> int:
        return len(self.y) // self.batch_size if self._train else -(-len(self.y) // self.batch_size)

    def shard(self, shard: Shard) -> None:
        self._shard = shard

    def epoch(self, epoch: int, start_batch: int = 0) -> Iterator[Batch]:
        order = torch.arange(len(self.y))
        if self._train:
            order = torch.randperm(len(self.y), generator=torch.Generator().manual_seed(epoch))
        try:
            for number in range(start_batch, len(self)):
                whole = order[number * self.batch_size : (number + 1) * self.batch_size]
                mine = whole[self._shard.rank :: self._shard.world_size]
                if len(mine):
                    yield Batch(self.x[mine], self.y[mine], mine)
        finally:
            self.closed += 1


class MemoryData:
    """A data bunch of random pictures whose class can be learnt."""

    def __init__(
        self, n_train: int = 30, n_valid: int = 13, bs: int = 7, val_bs: int = 5, *, path: Path = Path(), c: int = 3
    ) -> None:
        generator = torch.Generator().manual_seed(0)
        self.classes = [f"class {index}" for index in range(c)]
        self.c, self.path, self.device = c, path, torch.device("cpu")
        train_x, train_y = _pictures(n_train, c, generator)
        valid_x, valid_y = _pictures(n_valid, c, generator)
        self.train_dl = MemoryLoader(train_x, train_y, bs, train=True)
        self.valid_dl = MemoryLoader(valid_x, valid_y, val_bs, train=False)
        self.fix_dl = MemoryLoader(train_x, train_y, val_bs, train=False)

    def dl(self, ds_type: DatasetType) -> MemoryLoader:
        return {DatasetType.Train: self.train_dl, DatasetType.Valid: self.valid_dl}.get(ds_type, self.fix_dl)

    def shard(self, shard: Shard) -> None:
        for loader in (self.train_dl, self.valid_dl, self.fix_dl):
            loader.shard(shard)


def _pictures(count: int, c: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    y = torch.randint(c, (count,), generator=generator)
    return torch.randn(count, 3, 8, 8, generator=generator) + y.view(-1, 1, 1, 1), y


def tiny_model(c: int = 3, *, dropout: float = 0.25, bn: bool = True) -> nn.Sequential:
    """Two convolutions and a head, from a fixed seed: three layer groups when split at 1 and 2."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        norm = nn.BatchNorm2d if bn else lambda channels: nn.Conv2d(channels, channels, 1, bias=False)
        return nn.Sequential(
            nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), norm(6), nn.ReLU()),
            nn.Sequential(nn.Conv2d(6, 8, 3, stride=2, bias=False), norm(8), nn.ReLU()),
            nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(dropout), nn.Linear(8, c)),
        )


def a_learner(data: MemoryData | None = None, model: nn.Module | None = None, **options: object) -> Learner:
    """A silent learner with three layer groups."""
    model = model or tiny_model()
    groups = split_model(model, [model[1], model[2]]) if isinstance(model, nn.Sequential) and len(model) == 3 else None
    options = {"silent": True, "layer_groups": groups, **options}
    return Learner(data or MemoryData(), model, **options)  # type: ignore[arg-type]


def first_group(learner: Learner) -> dict[str, Any]:
    return learner.require_optimizer().param_groups[0]
