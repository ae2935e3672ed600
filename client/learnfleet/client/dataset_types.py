"""The parts of a learner's data, by fastai's names."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING

from learnfleet.v1 import learner_pb2

if TYPE_CHECKING:
    from learnfleet.client.data_bunch import DataBunch


class DatasetType(IntEnum):
    """Which items of a learner's data, and how they are loaded (fastai's names and numbers)."""

    Train = 1  # shuffled, augmented, full batches only
    Valid = 2
    Test = 3
    Fix = 5  # the training items with the validation transforms, in order and complete

    def to_proto(self) -> learner_pb2.DatasetType:
        return _DATASETS[self]


_DATASETS = {
    DatasetType.Train: learner_pb2.DATASET_TYPE_TRAIN,
    DatasetType.Valid: learner_pb2.DATASET_TYPE_VALID,
    DatasetType.Test: learner_pb2.DATASET_TYPE_TEST,
    DatasetType.Fix: learner_pb2.DATASET_TYPE_FIX,
}


@dataclass(frozen=True)
class Part:
    """Stands for a dataset or a loader of the server: `learn.validate(data.valid_dl)`, `len(data.train_ds)`."""

    ds_type: DatasetType
    data: DataBunch | None = field(default=None, repr=False, compare=False)
    in_batches: bool = False

    def __len__(self) -> int:
        """Items, or batches of a loader, as the server has counted them."""
        if self.data is None:
            raise TypeError(f"the length of {self.ds_type.name} is the server's to know: ask the data of its length")
        read = self.data.what_was_read()
        items = read.valid_images if self.ds_type is DatasetType.Valid else read.train_images
        if not self.in_batches:
            return items
        if self.ds_type is DatasetType.Train:
            return items // self.data.bs
        return math.ceil(items / (self.data.val_bs or self.data.bs))


def ds_type_of(given: DatasetType | Part | None, default: DatasetType) -> DatasetType:
    """What is meant by a dataset type, or by what stands for a loader. Raises TypeError for a loader of one's own."""
    if given is None:
        return default
    if isinstance(given, Part):
        return given.ds_type
    if not isinstance(given, DatasetType):
        raise TypeError(f"{given!r} is no DatasetType, nor a part of the learner's data such as data.valid_dl")
    return given
