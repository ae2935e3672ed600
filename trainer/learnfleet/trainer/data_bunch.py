"""`DataBunch`: any torch datasets or loaders, for `Learner(data, model)`."""

from __future__ import annotations

from collections.abc import Sequence, Sized
from functools import cached_property
from pathlib import Path
from typing import Any, Self, TypeAlias

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, RandomSampler, SequentialSampler, default_collate

from learnfleet.trainer.batch import Loader
from learnfleet.trainer.dataset import DatasetType
from learnfleet.trainer.dataset_loader import Collate, DatasetLoader, GivenLoader
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.loader_bunch import BatchFunction, LoaderBunch
from learnfleet.trainer.losses import Loss

AnyLoader: TypeAlias = "DataLoader[Any] | Loader"


class DataBunch(LoaderBunch[DatasetLoader | GivenLoader, Sized]):
    """Training and validation loaders of anything.

    Args:
        train_dl, valid_dl, test_dl: torch DataLoaders over sized datasets of (input, target) items, of which datasets,
            batch sizes, collate functions, workers and shuffling are taken over (training leaves out a last batch that
            is not full); or `Loader`s.
        fix_dl: training items in order. Default: made of `train_dl`'s dataset.
        dl_tfms: see `add_tfm`.
        path: where a learner writes.
        collate_fn: in place of the loaders' own.
        no_check: leave out `sanity_check`.
        classes: names of the classes. Default: the training dataset's own, where it has any.
        loss_func: what a learner trains with unless it is given another.
        seed: of the shuffling.
    """

    def __init__(
        self,
        train_dl: AnyLoader,
        valid_dl: AnyLoader | None = None,
        fix_dl: AnyLoader | None = None,
        test_dl: AnyLoader | None = None,
        device: torch.device | str | None = None,
        dl_tfms: Sequence[BatchFunction] = (),
        path: Path | str = ".",
        collate_fn: Collate | None = None,
        no_check: bool = False,
        classes: Sequence[str] | None = None,
        loss_func: Loss | None = None,
        seed: int = 0,
    ) -> None:
        self.device, self.path, self.loss_func = torch.device(device or "cpu"), Path(path), loss_func
        self._seed, self._collate = seed, collate_fn
        self._loaders = self._adapted_all(train_dl, valid_dl, train_dl if fix_dl is None else fix_dl, test_dl)
        own = getattr(self.train_ds, "classes", ())
        self.classes = [str(name) for name in (own if classes is None else classes)]
        for function in dl_tfms:
            self.add_tfm(function)
        if not no_check:
            self.sanity_check()

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
        dl_tfms: Sequence[BatchFunction] = (),
        device: torch.device | str | None = None,
        collate_fn: Collate = default_collate,
        no_check: bool = False,
        classes: Sequence[str] | None = None,
        loss_func: Loss | None = None,
        seed: int = 0,
    ) -> Self:
        """From datasets of (input, target) items. `num_workers`: processes that load; 0: none but this."""

        def loader(dataset: Dataset[Any] | None, size: int, shuffle: bool = False) -> DataLoader[Any] | None:
            if dataset is None:
                return None
            if not isinstance(dataset, Sized):
                raise LearnerError("data", "an iterable dataset without a length cannot be resumed or shared by ranks")
            # A torch loader refuses to shuffle nothing, before this could say what is wrong.
            shuffle = shuffle and len(dataset) > 0
            return DataLoader(dataset, size, shuffle=shuffle, num_workers=num_workers, collate_fn=collate_fn)

        train = loader(train_ds, bs, shuffle=True)
        assert train is not None
        valid, test = (loader(dataset, val_bs or bs) for dataset in (valid_ds, test_ds))
        return cls(train, valid, None, test, device, dl_tfms, path, None, no_check, classes, loss_func, seed)

    def _adapted_all(
        self, train: AnyLoader, valid: AnyLoader | None, fix: AnyLoader, test: AnyLoader | None
    ) -> dict[DatasetType, DatasetLoader | GivenLoader]:
        loaders = {
            DatasetType.Train: self._adapted(train, train=True),
            DatasetType.Fix: self._adapted(fix, train=False),
        }
        if valid is not None:
            loaders[DatasetType.Valid] = self._adapted(valid, train=False)
        if test is not None:
            loaders[DatasetType.Test] = self._adapted(test, train=False)
        single = loaders.get(DatasetType.Valid)
        if isinstance(single, DatasetLoader):
            loaders[DatasetType.Single] = single.with_batch_size(1)
        return loaders

    def _adapted(self, loader: AnyLoader, *, train: bool) -> DatasetLoader | GivenLoader:
        if not isinstance(loader, DataLoader):
            return GivenLoader(loader)
        if loader.batch_size is None:
            raise LearnerError("data", "a DataLoader with a batch sampler of its own cannot be shared by ranks")
        return DatasetLoader(
            loader.dataset,
            loader.batch_size,
            train=train,
            device=self.device,
            shuffle=train and _shuffles(loader),
            collate_fn=self._collate or loader.collate_fn,
            num_workers=loader.num_workers,
            seed=self._seed,
        )

    def _set_batch_size(self, bs: int) -> None:
        renewed: dict[DatasetType, DatasetLoader | GivenLoader] = {}
        for ds_type, loader in self._loaders.items():
            if isinstance(loader, GivenLoader):
                raise LearnerError("bs", "loaders of your own making keep their batch size: make them anew")
            renewed[ds_type] = loader if ds_type is DatasetType.Single else loader.with_batch_size(bs)
        self._loaders = renewed

    @cached_property
    def c(self) -> int:
        """Number of classes; of data without, the width of the first target."""
        if self.classes:
            return len(self.classes)
        _, y = self.one_batch(DatasetType.Fix)
        return int(y.shape[-1]) if isinstance(y, Tensor) and y.ndim > 1 else 1

    def one_item(self, item: Any, detach: bool = False, denorm: bool = False, cpu: bool = False) -> tuple[Any, Any]:
        """An input as a batch of one, with an empty target: 0."""
        loader = next((loader for loader in self._loaders.values() if isinstance(loader, DatasetLoader)), None)
        collate: Collate = default_collate if loader is None else loader.collate_fn
        x, y = collate([(item, 0)])
        return self._shown(x, detach, denorm, cpu), y


def _shuffles(loader: DataLoader[Any]) -> bool:
    """Raises LearnerError for a sampler whose order cannot be found again when a run is resumed."""
    sampler = loader.sampler
    if isinstance(sampler, RandomSampler) and not sampler.replacement:
        return True
    if isinstance(sampler, SequentialSampler):
        return False
    raise LearnerError(
        "data",
        f"a {type(sampler).__name__} draws an order that a resumed run cannot find again; use shuffle=True, or"
        " OverSamplingCallback to see rare classes more often",
    )
