"""Predictions over a loader: complete, in the dataset's order, on every rank."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from learnfleet.trainer.batch import Batch, Loader, Shard, as_arguments
from learnfleet.trainer.boxes import not_of_boxes
from learnfleet.trainer.callback import Events
from learnfleet.trainer.data_spec import LabelKind
from learnfleet.trainer.dataset import DatasetType
from learnfleet.trainer.decoding import label_kind, predicted_classes
from learnfleet.trainer.distributed import World
from learnfleet.trainer.embeddings import embeddings_of
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.interruption import Interrupted
from learnfleet.trainer.label_items import Category as Category
from learnfleet.trainer.loop import batches_of
from learnfleet.trainer.losses import Activation, activation_of, loss_per_item
from learnfleet.trainer.precision import Precision
from learnfleet.trainer.state import TrainState

if TYPE_CHECKING:
    from learnfleet.trainer.learner import Learner

Progress = Callable[[int, int], None]  # (batches done, of how many)
_BYTE = 256
_SHOWN = 10  # positions in a warning

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Predictions:
    """Outputs of a model over N items of a dataset, in its order. On the CPU."""

    outputs: Tensor  # float [N, ...], after the activation; uint8 or int32 [N, H, W] where only masks were kept
    targets: Tensor  # [N, ...], as the loader gives them; uint8 or int32 where only masks were kept
    indices: Tensor  # int64 [N], positions in the dataset; those that could not be read are missing
    losses: Tensor | None = None  # float [N], of the raw outputs
    more_outputs: tuple[Tensor, ...] = ()  # of a model with several outputs, those after the first
    more_targets: tuple[Tensor, ...] = ()
    embeddings: Tensor | None = None  # float [N, D], of the body


@dataclass(frozen=True)
class Wanted:
    """What is asked of a run over a loader.

    Args:
        activ: replaces the activation that suits the loss.
        with_loss: also the loss of each item.
        n_batch: only so many batches.
        masks_only: of outputs for every pixel, [N, C, H, W], keep the most probable class alone, in a byte.
        with_dropout: dropout stays on.
        progress: called after each batch.
        embed: also the body's output, pooled; of a model that has no body there is none.
    """

    activ: Activation | None = None
    with_loss: bool = False
    n_batch: int | None = None
    masks_only: bool = False
    with_dropout: bool = False
    progress: Progress | None = None
    embed: bool = False


def plain_type(ds_type: DatasetType) -> DatasetType:
    """Fix for Train: the same items, whole, in the dataset's order and not augmented."""
    return DatasetType.Fix if ds_type is DatasetType.Train else ds_type


def predict_loader(
    learner: Learner,
    loader: Loader,
    *,
    with_loss: bool = False,
    n_batch: int | None = None,
    activ: Activation | None = None,
    masks_only: bool = False,
    with_dropout: bool = False,
    progress: Progress | None = None,
    embed: bool = False,
) -> Predictions:
    """Run the model over a loader, see `Wanted`. Every rank must call; all get everything. Raises Interrupted."""
    if n_batch is not None and n_batch < 1:
        raise LearnerError("n_batch", f"{n_batch} batches cannot be predicted: give at least 1, or None for all")
    if getattr(learner.data, "kind", None) is LabelKind.BOXES:
        raise not_of_boxes("get_preds")
    wanted = Wanted(activ, with_loss, n_batch, masks_only, with_dropout, progress, embed)
    world = learner.world
    shard = Shard(world.rank, world.size)
    learner.data.shard(shard)
    loader.shard(shard)  # it may be none of the data's
    world.share_buffers(learner.model)
    parts = list(_run(learner, loader, wanted))
    if world.any(learner.stop_requested()):
        raise Interrupted
    columns = [[torch.cat(column) for column in zip(*group, strict=True)] for group in zip(*parts, strict=True)]
    gathered = _gather(world, columns)
    if gathered is None:
        return _nothing(learner, wanted)
    outputs, targets, (indices, *rest) = gathered
    order = indices.argsort(stable=True)

    def ordered(rows: Tensor) -> Tensor:
        return rows if torch.equal(indices, indices[order]) else rows[order]

    (first, *others), (target, *more) = map(ordered, outputs), map(ordered, targets)
    loss = ordered(rest[0]) if with_loss else None
    embeddings = ordered(rest[-1]) if len(rest) > with_loss else None
    return Predictions(first, target, indices[order], loss, tuple(others), tuple(more), embeddings)


def tell_missing(loader: Loader, found: Predictions, n_batch: int | None = None) -> None:
    """Warn of the items of an ordered, complete loader that have no row, since they could not be read."""
    dataset = getattr(loader, "dataset", None)
    if dataset is None:
        return
    count = len(dataset) if n_batch is None else min(n_batch * loader.batch_size, len(dataset))
    missing = sorted(set(range(count)) - set(found.indices.tolist()))
    if missing:
        more = ", ..." if len(missing) > _SHOWN else ""
        places = ", ".join(map(str, missing[:_SHOWN]))
        _log.warning("%d of %d items could not be read and have no row: %s%s", len(missing), count, places, more)


# Outputs, targets, and indices with losses and embeddings if asked for.
Row = tuple[list[Tensor], list[Tensor], list[Tensor]]


def _run(learner: Learner, loader: Loader, wanted: Wanted) -> Iterator[Row]:
    """What this rank's batches give."""
    activation = wanted.activ or activation_of(learner.loss_func)
    state = TrainState(learner, learner.model, 0, 0, [], train=False)
    events = Events(learner.callbacks)
    total = len(loader) if wanted.n_batch is None else min(wanted.n_batch, len(loader))
    with (
        torch.no_grad(),
        evaluating(learner.model, with_dropout=wanted.with_dropout),
        batches_of(loader, 0, 0) as batches,
        embeddings_of(learner.model, wanted.embed) as pooled,
    ):
        for number, batch in enumerate(islice(batches, wanted.n_batch)):
            raw = forward(state, events, batch)
            losses = [per_item_losses(learner, raw, state.last_target).float().cpu()] if wanted.with_loss else []
            activated = [activation(part).float().cpu() for part in as_arguments(raw)]
            targets = [part.cpu() for part in as_arguments(batch.y)]
            if wanted.masks_only and kind_of(learner, activated[0]) is LabelKind.MASK:
                activated, targets = [compact(predicted_classes(activated[0]))], [compact(part) for part in targets]
            yield activated, targets, [batch.indices, *losses, *pooled.take()]
            if wanted.progress is not None:
                wanted.progress(number + 1, total)
            if learner.stop_requested():
                return


def forward(state: TrainState, events: Events, batch: Batch) -> Any:
    """Raw outputs of one batch, as validation makes them: callbacks may change the input and the output."""
    state.take(batch, train=False)
    events("on_batch_begin", state)
    state.last_output = state.learner.precision.run(state.model, state.last_input)
    events("on_loss_begin", state)
    return state.last_output


def per_item_losses(learner: Learner, raw: Any, target: Any) -> Tensor:
    """The loss of each item, [N]."""
    return loss_per_item(learner.loss_func, raw, target)


def kind_of(learner: Learner, output: Tensor) -> LabelKind:
    """What the labels are: as the data says, else by the loss and the outputs [N, ...]."""
    known = getattr(learner.data, "kind", LabelKind.NONE)
    if isinstance(known, LabelKind) and known is not LabelKind.NONE:
        return known
    return label_kind(learner.loss_func, learner.data.classes, output)


def compact(mask: Tensor) -> Tensor:
    """Integers in one byte each if they fit, else in four."""
    fits = mask.numel() == 0 or (int(mask.min()) >= 0 and int(mask.max()) < _BYTE)
    return mask.to(torch.uint8 if fits else torch.int32)


def _gather(world: World, columns: list[list[Tensor]]) -> list[list[Tensor]] | None:
    """The rows of all ranks, on every rank. A rank without any row learns from another what they look like."""
    if world.size == 1:
        return columns or None
    has_rows = torch.zeros(world.size)
    has_rows[world.rank] = float(bool(columns))
    if not world.sum(has_rows).any():
        return None
    layout = [[(list(item.shape[1:]), str(item.dtype).partition(".")[2]) for item in group] for group in columns]
    layout = world.broadcast_json(layout, source=int(has_rows.argmax()))
    if not columns:
        columns = [[torch.empty(0, *shape, dtype=getattr(torch, name)) for shape, name in group] for group in layout]
    if world.any(any(item.dtype is torch.int32 for group in columns for item in group)):  # `compact` differed
        columns = [[item.int() if item.dtype is torch.uint8 else item for item in group] for group in columns]
    return [[world.gather_rows(item) for item in group] for group in columns]


def _nothing(learner: Learner, wanted: Wanted) -> Predictions:
    none = torch.empty(0, dtype=torch.int64)
    return Predictions(torch.empty(0, learner.data.c), none, none, torch.empty(0) if wanted.with_loss else None)


@contextmanager
def evaluating(model: nn.Module, *, with_dropout: bool = False) -> Iterator[None]:
    """The model in evaluation mode, where it stays; modules with "dropout" in their class's name may go on dropping."""
    model.eval()
    try:
        if with_dropout:
            for module in model.modules():
                if "dropout" in type(module).__name__.lower():
                    module.train()
        yield
    finally:
        model.eval()


def run_without_grad(
    model: nn.Module,
    x: Any,
    activation: Callable[[Tensor], Tensor],
    precision: Precision,
    *,
    with_dropout: bool = False,
) -> Tensor:
    """Activated outputs of one batch, float32 on the CPU; of a model with several outputs the first."""
    with torch.no_grad(), evaluating(model, with_dropout=with_dropout):
        raw = as_arguments(precision.run(model, x))[0]
        return activation(raw).float().cpu()
