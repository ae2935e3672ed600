"""What every bunch of loaders can do, whatever its items are (fastai's DataBunch)."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterator, Sized
from contextlib import closing
from typing import Any, Generic, Protocol, TypeVar, cast

from torch import Tensor

from learnfleet.trainer.batch import Batch, Loader, Shard
from learnfleet.trainer.dataset import DatasetType
from learnfleet.trainer.errors import LearnerError

_log = logging.getLogger(__name__)

BatchFunction = Callable[[Any, Any], tuple[Any, Any]]


class BunchLoader(Loader, Protocol):
    """A loader that knows its items."""

    batch_fns: list[BatchFunction]  # applied to each batch, on the device

    @property
    def dataset(self) -> Sized: ...

    def epoch(self, epoch: int, start_batch: int = 0) -> Generator[Batch, None, None]: ...


L = TypeVar("L", bound=BunchLoader)
D = TypeVar("D", bound=Sized)
_ORDER = (DatasetType.Train, DatasetType.Valid, DatasetType.Fix, DatasetType.Single, DatasetType.Test)


class LoaderBunch(ABC, Generic[L, D]):
    """Loaders of type L over datasets of type D, one for each DatasetType that there are items of."""

    _loaders: dict[DatasetType, L]

    @abstractmethod
    def _set_batch_size(self, bs: int) -> None:
        """Make all loaders anew."""

    def dl(self, ds_type: DatasetType) -> L:
        """The loader of that part. Raises LearnerError if it has no item, and for what is no DatasetType."""
        if ds_type not in _ORDER:
            names = ", ".join(f"DatasetType.{known.name}" for known in _ORDER)
            raise LearnerError("ds_type", f"{ds_type!r} is none of {names}")
        ds_type = DatasetType(ds_type)
        loader = self._dl_or_none(ds_type)
        if loader is None:
            raise LearnerError("ds_type", f"this data has no {ds_type.name} items")
        return loader

    def _dl_or_none(self, ds_type: DatasetType) -> L | None:
        loader = self._loaders.get(ds_type)
        return loader if loader is not None and len(loader.dataset) else None

    @property
    def train_dl(self) -> L:
        return self._loaders[DatasetType.Train]

    @property
    def fix_dl(self) -> L:
        return self._loaders[DatasetType.Fix]

    @property
    def valid_dl(self) -> L | None:
        return self._dl_or_none(DatasetType.Valid)

    @property
    def test_dl(self) -> L | None:
        return self._dl_or_none(DatasetType.Test)

    @property
    def single_dl(self) -> L | None:
        return self._dl_or_none(DatasetType.Single)

    @property
    def dls(self) -> list[L]:
        """Training, validation, fix, single and test loader, those that have items."""
        found = [self._dl_or_none(ds_type) for ds_type in _ORDER]
        return [loader for loader in found if loader is not None]

    @property
    def train_ds(self) -> D:
        return cast(D, self.train_dl.dataset)

    @property
    def fix_ds(self) -> D:
        return cast(D, self.fix_dl.dataset)

    @property
    def valid_ds(self) -> D:
        return self._dataset_of(DatasetType.Valid)

    @property
    def single_ds(self) -> D:
        return self._dataset_of(DatasetType.Single)

    @property
    def test_ds(self) -> D | None:
        return cast(D, self.test_dl.dataset) if self.test_dl else None

    def _dataset_of(self, ds_type: DatasetType) -> D:
        loader = self._loaders.get(ds_type)
        if loader is None:
            raise LearnerError("ds_type", f"this data has no {ds_type.name} items")
        return cast(D, loader.dataset)

    @property
    def empty_val(self) -> bool:
        """Whether there is nothing to validate on."""
        return self.valid_dl is None

    @property
    def is_empty(self) -> bool:
        """Whether there is no item at all (as after `load_learner`)."""
        return not self.dls

    @property
    def batch_size(self) -> int:
        """Items per training step over all ranks. Setting it makes all loaders anew, with that size."""
        return self.train_dl.batch_size

    @batch_size.setter
    def batch_size(self, bs: int) -> None:
        if bs < 1:
            raise LearnerError("bs", f"{bs} is not possible: a batch has at least 1 item")
        self._set_batch_size(bs)

    def add_tfm(self, function: BatchFunction) -> None:
        """Apply `function(x, y) -> (x, y)` to every batch of every loader, on the device."""
        for loader in self._loaders.values():
            loader.batch_fns.append(function)

    def remove_tfm(self, function: BatchFunction) -> None:
        """Undo `add_tfm`; a function that was not added is no error."""
        for loader in self._loaders.values():
            if function in loader.batch_fns:
                loader.batch_fns.remove(function)

    def shard(self, shard: Shard) -> None:
        """From the next epoch on, all loaders yield this rank's part of every batch."""
        for loader in self._loaders.values():
            loader.shard(shard)

    def denormalize(self, x: Any) -> Any:
        """Inputs as they were before they were normalised."""
        return x

    def one_batch(
        self, ds_type: DatasetType = DatasetType.Train, detach: bool = True, denorm: bool = True, cpu: bool = True
    ) -> tuple[Any, Any]:
        """The first batch of a loader: (inputs, targets), of pictures ([N, 3, H, W], targets).

        Args:
            detach: also from the graph of a batch function that has one.
            denorm: with pixels in [0, 1] instead of normalised ones.
            cpu: on the CPU.

        Raises LearnerError if there is none.
        """
        with closing(self.dl(ds_type).epoch(0)) as batches:
            batch = next(iter(batches), None)
        if batch is None:
            raise LearnerError("ds_type", f"the {ds_type.name} loader has no batch: {self._why_empty(ds_type)}")
        return self._shown(batch.x, detach, denorm, cpu), each_tensor(batch.y, _shower(detach, cpu))

    def _shown(self, x: Any, detach: bool, denorm: bool, cpu: bool) -> Any:
        return each_tensor(self.denormalize(x) if denorm else x, _shower(detach, cpu))

    def sanity_check(self) -> None:
        """Load the first training batch, and warn of what is wrong: the data may still be mended."""
        if not len(self.train_dl):
            _log.warning("training on this data will fail: %s", self._why_empty(DatasetType.Train))
            return
        try:
            self.one_batch()
        except Exception as error:  # whatever a dataset of somebody else's raises
            _log.warning("It's not possible to collate samples of your dataset together in a batch: %s", error)

    def _why_empty(self, ds_type: DatasetType) -> str:
        loader = self._loaders[ds_type]
        return f"the batch size is {loader.batch_size} and there are {len(loader.dataset)} items"


def each_tensor(values: Any, function: Callable[[Tensor], Tensor]) -> Any:
    """A tensor, or a tuple or list of them, each changed by a function."""
    if isinstance(values, Tensor):
        return function(values)
    return type(values)(each_tensor(value, function) for value in values)


def _shower(detach: bool, cpu: bool) -> Callable[[Tensor], Tensor]:
    def shown(value: Tensor) -> Tensor:
        value = value.detach() if detach else value
        return value.cpu() if cpu else value

    return shown


def applied(functions: list[BatchFunction], batches: Iterator[Batch]) -> Generator[Batch, None, None]:
    """Batches changed by batch functions, one after the other."""
    for batch in batches:
        x, y = batch.x, batch.y
        for function in functions:
            x, y = function(x, y)
        yield Batch(x, y, batch.indices)
