"""Single items of a learner's datasets, by their position: what the model is given, and what there is to see."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor

from learnfleet.trainer import plots
from learnfleet.trainer.batch import Batch, Shard, as_arguments
from learnfleet.trainer.dataset import DatasetType, ImageDataset
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.inputs import as_pictures
from learnfleet.trainer.loop import batches_of

if TYPE_CHECKING:
    from learnfleet.trainer.learner import Learner
    from learnfleet.trainer.learner_core import LearnerData

_CHANNELS = (1, 3)  # that can be shown


@dataclass(frozen=True)
class DatasetItem:
    """One item as the model gets it."""

    x: Tensor  # [...], of several inputs the first
    target: Tensor  # [...]


@contextmanager
def unsharded(learner: Learner) -> Iterator[None]:
    """Every rank sees all items, not its share of each batch. No rank needs to wait for another meanwhile."""
    learner.data.shard(Shard())
    try:
        yield
    finally:
        learner.data.shard(Shard(learner.world.rank, learner.world.size))


def first_batches(learner: Learner, ds_type: DatasetType, count: int) -> list[Batch]:
    """Whole batches from the start of a dataset, until they hold `count` items or all there are."""
    found: list[Batch] = []
    with unsharded(learner), batches_of(learner.data.dl(ds_type), 0, 0) as batches:
        for batch in batches:
            found.append(batch)
            if sum(item.n for item in found) >= count:
                break
    return found


def item_of(learner: Learner, ds_type: DatasetType, index: int) -> DatasetItem:
    """Item `index` of a dataset whose loader keeps the order. Raises LearnerError if it cannot be read."""
    loader = learner.data.dl(ds_type)
    with unsharded(learner), batches_of(loader, 0, index // loader.batch_size) as batches:
        for batch in batches:
            row = (batch.indices == index).nonzero()
            if len(row):
                place = int(row[0])
                return DatasetItem(as_arguments(batch.x)[0][place], as_arguments(batch.y)[0][place])
            break
    raise LearnerError("idx", f"there is no item {index} in the {ds_type.name} data, or it cannot be read")


def file_of(data: LearnerData, ds_type: DatasetType, index: int) -> str:
    """The file of an item, relative to the data's folder; empty for data that are no picture files."""
    dataset = getattr(data.dl(ds_type), "dataset", None)
    if not isinstance(dataset, ImageDataset):
        return ""
    path, root = dataset.path(index), Path(getattr(data, "root", data.path))
    return str(path.relative_to(root)) if path.is_relative_to(root) else str(path)


def picture_of(learner: Learner, ds_type: DatasetType, index: int) -> plots.Picture:
    """The picture at that position, as the model sees it in validation. Raises LearnerError for what is none."""
    open_item = getattr(learner.data, "open_item", None)
    if open_item is not None:
        return plots.as_picture(open_item(ds_type, index))
    return as_picture(learner.data, item_of(learner, ds_type, index).x)


def as_picture(data: object, x: Tensor) -> plots.Picture:
    """An input [C, H, W] to look at. Raises LearnerError for inputs that are no pictures."""
    if x.ndim != 3 or x.shape[0] not in _CHANNELS:
        raise LearnerError("data", f"inputs of shape {tuple(x.shape)} are no pictures that could be shown")
    return plots.as_picture(as_pictures(data, x))


def require_labels(ds_type: DatasetType) -> None:
    """Raises LearnerError for a dataset without labels, of which no error can be told."""
    if ds_type is DatasetType.Test:
        raise LearnerError(
            "ds_type",
            "test sets have no labels, so nothing can be said of errors: predict it with get_preds, or interpret"
            " Valid or Fix",
        )
