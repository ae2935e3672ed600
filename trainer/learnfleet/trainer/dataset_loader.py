"""Batches of any torch Dataset, in the form that the Learner trains on."""

from __future__ import annotations

import random
from collections.abc import Callable, Generator, Iterator, Sequence, Sized
from contextlib import contextmanager
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, TensorDataset, default_collate

from learnfleet.trainer.batch import Batch, Loader, PairsOfBatches, Shard
from learnfleet.trainer.counter import permutation, step_seed
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.loader import Sampler
from learnfleet.trainer.loader_bunch import BatchFunction, applied, each_tensor

Collate = Callable[[list[Any]], Any]
_NUMPY_SEEDS = 2**32
_OF_LOADERS = ("batch_size", "epoch", "shard", "__len__")


class DatasetLoader(PairsOfBatches):
    """Implements `Loader` over a torch Dataset of (input, target) items.

    Which items a batch has is a pure function of (epoch, batch number), and so is what a dataset draws by itself from
    the generators of torch, NumPy and `random`, in worker processes too. Under several ranks each loads its own items
    only.
    """

    def __init__(
        self,
        dataset: Dataset[Any],
        batch_size: int,
        *,
        train: bool,
        device: torch.device,
        shuffle: bool | None = None,
        collate_fn: Collate = default_collate,
        num_workers: int = 0,
        seed: int = 0,
    ) -> None:
        """Args:
        train: only full batches.
        shuffle: None: as `train` says.
        """
        if not isinstance(dataset, Sized):
            raise LearnerError("data", "an iterable dataset without a length cannot be resumed or shared by ranks")
        self.items, self.batch_size, self.device, self.collate_fn = dataset, batch_size, device, collate_fn
        self.sampler: Sampler | None = None  # None: every item once
        self.batch_fns: list[BatchFunction] = []
        self._train, self._shuffle = train, train if shuffle is None else shuffle
        self._num_workers, self._seed, self._shard = num_workers, seed, Shard()

    @property
    def dataset(self) -> Sized:
        assert isinstance(self.items, Sized), "checked when it was made"
        return self.items

    def with_batch_size(self, batch_size: int) -> DatasetLoader:
        """The same items in other batches."""
        loader = DatasetLoader(
            self.items,
            batch_size,
            train=self._train,
            device=self.device,
            shuffle=self._shuffle,
            collate_fn=self.collate_fn,
            num_workers=self._num_workers,
            seed=self._seed,
        )
        loader.batch_fns, loader._shard = list(self.batch_fns), self._shard
        return loader

    def __len__(self) -> int:
        n = len(self.dataset) if self.sampler is None else len(self.sampler)
        return n // self.batch_size if self._train else -(-n // self.batch_size)

    def shard(self, shard: Shard) -> None:
        self._shard = shard

    def labels(self) -> Tensor | None:
        """The class of every item, int64 [N], where the dataset holds them as `targets` or as its last tensor."""
        found = getattr(self.items, "targets", None)
        if found is None:
            found = (getattr(self.items, "tensors", None) or [None])[-1]
        labels = None if found is None else torch.as_tensor(found)
        return labels if labels is not None and labels.dtype == torch.int64 and labels.ndim == 1 else None

    def epoch(self, epoch: int, start_batch: int = 0) -> Generator[Batch, None, None]:
        return applied(self.batch_fns, self._batches(epoch, start_batch))

    def _batches(self, epoch: int, start_batch: int) -> Iterator[Batch]:
        shares = enumerate(self._shares(epoch, start_batch), start_batch)
        wanted = [(step_seed(self._seed + epoch, number, self._shard.rank), share) for number, share in shares if share]
        for (_, share), batch in zip(wanted, self._collated(wanted), strict=True):
            x, y = _pair(batch)
            yield Batch(self._moved(x), self._moved(y), torch.tensor(share))

    def _moved(self, values: Any) -> Any:
        return each_tensor(values, lambda value: value.to(self.device))

    def _collated(self, wanted: Sequence[tuple[int, list[int]]]) -> Iterator[Any]:
        if isinstance(self.items, TensorDataset) and self.collate_fn is default_collate:
            # Tensors draw nothing, and whole batches of them need no items: five times faster.
            yield from ([values[share] for values in self.items.tensors] for _, share in wanted)
            return
        dataset = _SeededDataset(self.items)
        keys = [[seed, *share] for seed, share in wanted]
        if self._num_workers == 0:
            with own_generators():
                for key in keys:
                    yield self.collate_fn(dataset.__getitems__(key))
            return
        # The generator only seeds the workers, which seed themselves anew for each batch; without one of its own the
        # loader would draw from torch's.
        yield from DataLoader(
            dataset,
            batch_sampler=keys,
            collate_fn=self.collate_fn,
            num_workers=self._num_workers,
            generator=torch.Generator(),
        )

    def _shares(self, epoch: int, start_batch: int) -> Iterator[list[int]]:
        order = self._order(epoch)
        for number in range(start_batch, len(self)):
            whole = order[number * self.batch_size : (number + 1) * self.batch_size]
            yield whole[self._shard.rank :: self._shard.world_size].tolist()

    def _order(self, epoch: int) -> Tensor:
        if self.sampler is not None:
            return self.sampler.order(epoch)
        n = len(self.dataset)
        return permutation(self._seed, epoch, n) if self._shuffle else torch.arange(n)


class _SeededDataset(Dataset[Any]):
    """Items of a batch, all generators seeded for it."""

    def __init__(self, dataset: Dataset[Any]) -> None:
        self._dataset = dataset

    def __getitems__(self, key: Sequence[int]) -> list[Any]:
        """`key`: a seed, and positions."""
        seed, *positions = key
        torch.default_generator.manual_seed(seed)  # torch.manual_seed looks for other devices, too: 0.3 ms
        random.seed(seed)
        np.random.seed(seed % _NUMPY_SEEDS)
        fetch = getattr(self._dataset, "__getitems__", None)
        return list(fetch(positions)) if callable(fetch) else [self._dataset[position] for position in positions]


@contextmanager
def own_generators() -> Iterator[None]:
    """Leave the generators of torch, NumPy and `random` as they were.

    Around an epoch and not each of its batches: NumPy's state alone takes 0.1 ms to keep and put back.
    """
    of_random, of_numpy, of_torch = random.getstate(), np.random.get_state(), torch.get_rng_state()
    try:
        yield
    finally:
        random.setstate(of_random)
        np.random.set_state(of_numpy)
        torch.set_rng_state(of_torch)


def _pair(batch: Any) -> tuple[Any, Any]:
    """(inputs, targets) of what a collate function gives; several inputs come as a tuple of them."""
    if not isinstance(batch, tuple | list) or len(batch) != 2:
        raise LearnerError("data", f"a batch must be (inputs, targets), not {type(batch).__name__}")
    return batch[0], batch[1]


class GivenLoader(PairsOfBatches):
    """A `Loader` of somebody else's making, with batch functions."""

    def __init__(self, loader: Loader) -> None:
        self._loader, self.batch_size = loader, loader.batch_size
        self.batch_fns: list[BatchFunction] = []

    @property
    def dataset(self) -> Sized:
        """Its own, or as many numbers as it has items at most."""
        own = getattr(self._loader, "dataset", None)
        return own if isinstance(own, Sized) else range(len(self._loader) * self.batch_size)

    def __len__(self) -> int:
        return len(self._loader)

    def shard(self, shard: Shard) -> None:
        self._loader.shard(shard)

    def epoch(self, epoch: int, start_batch: int = 0) -> Generator[Batch, None, None]:
        return applied(self.batch_fns, self._loader.epoch(epoch, start_batch))


def loader_of(given: object, device: torch.device) -> Loader:
    """A `Loader` as it is; of a torch DataLoader all items, in the order of its dataset, in batches of its size.

    Raises LearnerError for anything else.
    """
    if isinstance(given, DataLoader):
        if given.batch_size is None:
            raise LearnerError("dl", "a DataLoader with a batch sampler of its own cannot be shared by ranks")
        return DatasetLoader(
            given.dataset,
            given.batch_size,
            train=False,
            device=device,
            collate_fn=given.collate_fn,
            num_workers=given.num_workers,
        )
    if not all(hasattr(given, name) for name in _OF_LOADERS):
        raise LearnerError(
            "dl",
            f"{type(given).__name__} is no loader: give one of the data, as learn.dl(DatasetType.Fix), or a torch"
            " DataLoader",
        )
    return cast("Loader", given)
