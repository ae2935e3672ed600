"""`DataBunch`: any torch datasets or loaders, in the form that the Learner trains on."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence, Sized
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, default_collate

from learnfleet.trainer.batch import Batch, Loader, Shard, count_items
from learnfleet.trainer.counter import permutation, step_seed
from learnfleet.trainer.dataset import DatasetType
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.losses import Loss

Collate = Callable[[list[Any]], Any]


class DatasetLoader:
    """Implements `Loader` over a torch Dataset of (input, target) items.

    Which items a batch has is a pure function of (epoch, batch number). What a dataset draws by itself (random
    transforms) is so too without worker processes, whose generators count from where a run was started. Under several
    ranks each loads its own items only.
    """

    def __init__(
        self,
        dataset: Dataset[Any],
        batch_size: int,
        *,
        train: bool,
        device: torch.device,
        collate_fn: Collate = default_collate,
        num_workers: int = 0,
        seed: int = 0,
    ) -> None:
        if not isinstance(dataset, Sized):
            raise LearnerError("data", "an iterable dataset without a length cannot be resumed or shared by ranks")
        self.dataset, self.batch_size = dataset, batch_size
        self._train, self._device, self._collate = train, device, collate_fn
        self._num_workers, self._seed, self._shard = num_workers, seed, Shard()

    def _count(self) -> int:
        assert isinstance(self.dataset, Sized)
        return len(self.dataset)

    def __len__(self) -> int:
        n = self._count()
        return n // self.batch_size if self._train else -(-n // self.batch_size)

    def shard(self, shard: Shard) -> None:
        self._shard = shard

    def epoch(self, epoch: int, start_batch: int = 0) -> Generator[Batch, None, None]:
        shares = list(self._shares(epoch, start_batch))
        wanted = [(start_batch + number, share) for number, share in enumerate(shares) if share]
        batches = self._collated(epoch, wanted) if self._num_workers == 0 else self._by_workers(epoch, wanted)
        for (_, share), batch in zip(wanted, batches, strict=True):
            x, y = _pair(batch)
            yield Batch(moved(x, self._device), moved(y, self._device), torch.tensor(share))

    def _collated(self, epoch: int, wanted: list[tuple[int, list[int]]]) -> Iterator[Any]:
        for number, share in wanted:
            # The loop seeds torch anew before it computes, so this disturbs nothing.
            torch.manual_seed(step_seed(self._seed + epoch, number, self._shard.rank))
            yield self._collate([self.dataset[index] for index in share])

    def _by_workers(self, epoch: int, wanted: list[tuple[int, list[int]]]) -> Iterator[Any]:
        generator = torch.Generator().manual_seed(step_seed(self._seed, epoch, self._shard.rank))
        yield from DataLoader(
            self.dataset,
            batch_sampler=[share for _, share in wanted],
            collate_fn=self._collate,
            num_workers=self._num_workers,
            generator=generator,
        )

    def _shares(self, epoch: int, start_batch: int) -> Iterator[list[int]]:
        n = self._count()
        order = permutation(self._seed, epoch, n) if self._train else torch.arange(n)
        for number in range(start_batch, len(self)):
            whole = order[number * self.batch_size : (number + 1) * self.batch_size]
            yield whole[self._shard.rank :: self._shard.world_size].tolist()


def _pair(batch: Any) -> tuple[Any, Any]:
    """(inputs, targets) of what a collate function gives; several inputs come as a tuple of them."""
    if not isinstance(batch, tuple | list) or len(batch) != 2:
        raise LearnerError("data", f"a batch must be (inputs, targets), not {type(batch).__name__}")
    return batch[0], batch[1]


def moved(values: Any, device: torch.device) -> Any:
    """A tensor, or a tuple or list of them, on the device."""
    if isinstance(values, Tensor):
        return values.to(device)
    return type(values)(moved(value, device) for value in values)


class DataBunch:
    """Training and validation loaders of anything, for `Learner(data, model)`.

    Args:
        train_dl, valid_dl, test_dl: torch DataLoaders over sized datasets of (input, target) items, of which datasets,
            batch sizes, collate functions and workers are taken over; or `Loader`s.
        fix_dl: training items in order. Default: made of `train_dl`'s dataset.
        path: where a learner writes.
        classes: names of the classes, where there are any.
        loss_func: what a learner trains with unless it is given another.
        seed: of the shuffling.
    """

    def __init__(
        self,
        train_dl: DataLoader[Any] | Loader,
        valid_dl: DataLoader[Any] | Loader | None = None,
        fix_dl: DataLoader[Any] | Loader | None = None,
        test_dl: DataLoader[Any] | Loader | None = None,
        device: torch.device | None = None,
        path: Path | str = ".",
        classes: Sequence[str] = (),
        loss_func: Loss | None = None,
        seed: int = 0,
    ) -> None:
        self.device, self.path, self.classes = device or torch.device("cpu"), Path(path), list(classes)
        self.loss_func, self._seed = loss_func, seed
        self.train_dl = self._adapted(train_dl, train=True)
        self.valid_dl = None if valid_dl is None else self._adapted(valid_dl, train=False)
        self._fix = self._adapted(train_dl if fix_dl is None else fix_dl, train=False)
        self._test = None if test_dl is None else self._adapted(test_dl, train=False)

    @classmethod
    def create(
        cls,
        train_ds: Dataset[Any],
        valid_ds: Dataset[Any] | None = None,
        test_ds: Dataset[Any] | None = None,
        path: Path | str = ".",
        bs: int = 64,
        val_bs: int | None = None,
        num_workers: int = 0,
        device: torch.device | None = None,
        collate_fn: Collate = default_collate,
        classes: Sequence[str] = (),
        loss_func: Loss | None = None,
        seed: int = 0,
    ) -> Self:
        """From datasets of (input, target) items."""

        def loader(dataset: Dataset[Any], size: int) -> DataLoader[Any]:
            return DataLoader(dataset, size, num_workers=num_workers, collate_fn=collate_fn)

        rest = [None if dataset is None else loader(dataset, val_bs or bs) for dataset in (valid_ds, test_ds)]
        return cls(loader(train_ds, bs), rest[0], None, rest[1], device, path, classes, loss_func, seed)

    def _adapted(self, loader: DataLoader[Any] | Loader, *, train: bool) -> Loader:
        if not isinstance(loader, DataLoader):
            return loader
        if loader.batch_size is None:
            raise LearnerError("data", "a DataLoader with a batch sampler of its own cannot be shared by ranks")
        return DatasetLoader(
            loader.dataset,
            loader.batch_size,
            train=train,
            device=self.device,
            collate_fn=loader.collate_fn,
            num_workers=loader.num_workers,
            seed=self._seed,
        )

    @property
    def c(self) -> int:
        """Number of classes; of data without, the width of the first target."""
        if self.classes:
            return len(self.classes)
        y = next(iter(self._fix.epoch(0))).y
        return int(y.shape[-1]) if isinstance(y, Tensor) and y.ndim > 1 else 1

    @property
    def fix_dl(self) -> Loader:
        return self._fix

    @property
    def test_dl(self) -> Loader | None:
        return self._test

    def dl(self, ds_type: DatasetType) -> Loader:
        """The loader of that part. Raises LearnerError if there is none."""
        loaders = {
            DatasetType.Train: self.train_dl,
            DatasetType.Valid: self.valid_dl,
            DatasetType.Test: self._test,
            DatasetType.Fix: self._fix,
        }
        loader = loaders.get(ds_type)
        if loader is None:
            raise LearnerError("ds_type", f"this data has no {ds_type.name} items")
        return loader

    def shard(self, shard: Shard) -> None:
        """From the next epoch on, all loaders yield this rank's part of every batch."""
        for loader in (self.train_dl, self.valid_dl, self._fix, self._test):
            if loader is not None:
                loader.shard(shard)

    def one_batch(self, ds_type: DatasetType = DatasetType.Train) -> tuple[Any, Any]:
        """(inputs, targets) of the first batch of a loader."""
        batch = next(iter(self.dl(ds_type).epoch(0)))
        assert count_items(batch.x) == batch.n, "a batch has as many inputs as positions"
        return batch.x, batch.y
