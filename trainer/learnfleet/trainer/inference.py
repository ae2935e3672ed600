"""Predictions over a loader: complete, in the dataset's order, on every rank."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from learnfleet.trainer.batch import Loader, Shard, as_arguments
from learnfleet.trainer.loop import batches_of
from learnfleet.trainer.losses import Activation, activation_of, loss_per_item

if TYPE_CHECKING:
    from learnfleet.trainer.learner import Learner


@dataclass(frozen=True)
class Category:
    """A class: its number, and its name as text."""

    data: int
    obj: str

    def __str__(self) -> str:
        return self.obj


@dataclass(frozen=True)
class Predictions:
    """Outputs of a model over N items of a dataset, in its order. On the CPU."""

    outputs: Tensor  # float [N, C], after the activation
    targets: Tensor  # int64 [N]
    indices: Tensor  # int64 [N], positions in the dataset; those that could not be read are missing
    losses: Tensor | None = None  # float [N], of the raw outputs


def predict_loader(
    learner: Learner,
    loader: Loader,
    *,
    with_loss: bool = False,
    n_batch: int | None = None,
    activ: Activation | None = None,
) -> Predictions:
    """Run the model over a loader, or over its first `n_batch` batches. Every rank must call; all get everything."""
    world = learner.world
    learner.data.shard(Shard(world.rank, world.size))
    world.share_buffers(learner.model)
    activation = activ or activation_of(learner.loss_func)
    parts = _run(learner, loader, activation, with_loss, n_batch)
    columns = [world.gather_rows(torch.cat(column)) for column in zip(*parts, strict=True)]
    order = columns[2].argsort()
    outputs, targets, indices, losses = (column[order] for column in columns)
    return Predictions(outputs, targets, indices, losses if with_loss else None)


def _run(
    learner: Learner, loader: Loader, activation: Activation, with_loss: bool, n_batch: int | None
) -> list[tuple[Tensor, Tensor, Tensor, Tensor]]:
    """Outputs, targets, indices and losses (empty rows unless asked for) of this rank's batches."""
    learner.model.eval()
    parts = []
    with torch.no_grad(), batches_of(loader, 0, 0) as batches:
        for batch in islice(batches, n_batch):
            raw = learner.model(*as_arguments(batch.x))
            losses = loss_per_item(learner.loss_func, raw, batch.y) if with_loss else torch.zeros(batch.n)
            parts.append((activation(raw).float().cpu(), batch.y.cpu(), batch.indices, losses.float().cpu()))
    return parts or [_nothing(learner)]


def _nothing(learner: Learner) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    none = torch.empty(0, dtype=torch.int64)
    return torch.empty(0, learner.data.c), none, none, torch.empty(0)


def run_without_grad(model: torch.nn.Module, x: Tensor, activation: Callable[[Tensor], Tensor]) -> Tensor:
    """Activated outputs of one batch, on the CPU."""
    model.eval()
    with torch.no_grad():
        return activation(model(x)).float().cpu()
