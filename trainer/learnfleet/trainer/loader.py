"""`ImageLoader`: batches of pictures, decoded ahead by threads, as a pure function of (epoch, batch number)."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Protocol, TypeAlias, TypeVar

import torch
from torch import Tensor

from learnfleet.trainer.batch import Batch, PairsOfBatches, Shard
from learnfleet.trainer.chunk import Chunk, ChunkMaker
from learnfleet.trainer.counter import permutation
from learnfleet.trainer.data_spec import BadImagePolicy, LabelKind
from learnfleet.trainer.dataset import ImageDataset
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.following import FollowingTargets
from learnfleet.trainer.loader_bunch import BatchFunction
from learnfleet.trainer.pictures import PictureStore
from learnfleet.trainer.pixels import NO_STATS, Stats
from learnfleet.trainer.share import Share
from learnfleet.trainer.threads import helping_threads
from learnfleet.trainer.transforms import BatchAugment

_BATCHES_AHEAD = 3
_Submitted: TypeAlias = tuple[Share, list[Future[Chunk]]]


def checked_threads(threads: int | None) -> int | None:
    """0, in fastai this process alone, is one. Raises LearnerError for fewer."""
    if threads is not None and threads < 0:
        raise LearnerError("num_workers", f"{threads} threads cannot decode: give 0 or more, or None for up to 4")
    return None if threads is None else max(1, threads)


def default_threads() -> int:
    """Decoding threads of one process: more than four rarely help a process that also trains."""
    return max(1, min(4, os.cpu_count() or 1))


@dataclass(frozen=True)
class LoaderOptions:
    """How a loader works, apart from which pictures it loads."""

    batch_size: int  # pictures per batch over all ranks
    device: torch.device
    shuffle: bool = False  # training: in random order, and only full batches
    seed: int = 0
    bad_image: BadImagePolicy = BadImagePolicy.SKIP
    threads: int | None = None  # None: default_threads()


class Sampler(Protocol):
    """Which items an epoch has, in which order: a pure function of the epoch."""

    def __len__(self) -> int:
        """Items an epoch."""
        ...

    def order(self, epoch: int) -> Tensor:
        """Positions in the dataset, int64."""
        ...


class ImageLoader(PairsOfBatches):
    """Implements `Loader`. Any number of iterators may be open at once; each has its own threads and ends them."""

    def __init__(
        self,
        dataset: ImageDataset,
        pictures: PictureStore,
        options: LoaderOptions,
        augment: BatchAugment | None = None,
        stats: Stats = NO_STATS,
        targets: FollowingTargets | None = None,
    ) -> None:
        self.dataset, self.batch_size = dataset, options.batch_size
        self.stats = stats  # of the epochs that begin from now on
        self.sampler: Sampler | None = None  # None: every item once, shuffled where options say so
        self.batch_fns: list[BatchFunction] = []  # applied to each batch, on the device
        self._options, self._shard = options, Shard()
        self._maker = ChunkMaker(dataset, pictures, targets, augment, options.seed, options.bad_image, options.shuffle)
        self._labels = dataset.labels()
        # On a CPU the threads also normalise and augment. Measured with resnet18, batches of 32, two cores and one
        # torch thread: the step takes 2 % longer than without any loading at 64 px and 1 % at 128 px; with this work
        # in the consuming thread 6 % and 5 %. Other devices get bytes, a quarter of the floats, and finish themselves.
        self._finish_in_threads = options.device.type == "cpu"

    def augmented(self, augment: BatchAugment) -> ImageLoader:
        """The same pictures in the same order, with these transforms."""
        loader = ImageLoader(
            self.dataset, self._maker.pictures, self._options, augment, self.stats, self._maker.targets
        )
        loader.shard(self._shard)
        return loader

    def labels(self) -> Tensor | None:
        """The class of every item, int64 [N]; None where an item is not of one class."""
        return self._labels if self.dataset.kind is LabelKind.CATEGORY else None

    def unsharded(self) -> ImageLoader:
        """The same batches, whole."""
        maker = self._maker
        loader = ImageLoader(self.dataset, maker.pictures, self._options, maker.augment, self.stats, maker.targets)
        loader.sampler = self.sampler
        return loader

    def take_settings(self, other: ImageLoader) -> None:
        """Go on as a loader whose place this one takes."""
        self.stats, self.batch_fns = other.stats, list(other.batch_fns)
        self.shard(other._shard)

    def __len__(self) -> int:
        n = len(self.dataset) if self.sampler is None else len(self.sampler)
        return n // self.batch_size if self._options.shuffle else -(-n // self.batch_size)

    def shard(self, shard: Shard) -> None:
        self._shard = shard

    def epoch(self, epoch: int, start_batch: int = 0) -> Generator[Batch, None, None]:
        """The batches [start_batch, ...) of `epoch`. Nothing before `start_batch` is decoded.

        Broken pictures under SKIP: a training batch gets other pictures in their place, chosen by (seed, epoch,
        index); all other batches leave them out, and a batch without any picture is left out itself.

        Raises BadImage under FAIL, or if no replacement could be decoded either.
        """
        stats = self.stats
        pool = helping_threads(self._options.threads or default_threads(), "pictures")
        try:
            submitted = (self._submit(pool, epoch, places, stats) for places in self._places(epoch, start_batch))
            for share, chunks in _ahead(submitted):
                batch = self._batch(share.join([chunk.result() for chunk in chunks]), stats)
                if len(batch.indices):
                    yield batch
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _places(self, epoch: int, start_batch: int) -> Iterator[Tensor]:
        """This rank's positions in each global batch with their keys, int64 [n, 2]."""
        order = self._order(epoch)
        order = torch.stack((order, order if self.sampler is None else self._keys(order)), dim=1)
        rank, world_size = self._shard.rank, self._shard.world_size
        for number in range(start_batch, len(self)):
            start = number * self.batch_size
            yield order[start : start + self.batch_size][rank::world_size]

    def _order(self, epoch: int) -> Tensor:
        if self.sampler is not None:
            return self.sampler.order(epoch)
        n = len(self.dataset)
        return permutation(self._options.seed, epoch, n) if self._options.shuffle else torch.arange(n)

    def _keys(self, order: Tensor) -> Tensor:
        """A number for each place of an order in which items come again: what is drawn for each time must differ."""
        by_item = torch.argsort(order, stable=True)
        sorted_order, places = order[by_item], torch.arange(len(order))
        begins = torch.ones(len(order), dtype=torch.bool)
        begins[1:] = sorted_order[1:] != sorted_order[:-1]
        first = torch.cummax(torch.where(begins, places, 0), dim=0).values
        times = torch.empty_like(places)
        times[by_item] = places - first
        return order + times * len(self.dataset)

    def _submit(self, pool: ThreadPoolExecutor, epoch: int, places: Tensor, stats: Stats) -> _Submitted:
        share = Share(self._maker, epoch, places, stats, finish=self._finish_in_threads)
        return share, [pool.submit(share.make, *span) for span in share.spans()]

    def _batch(self, chunk: Chunk, stats: Stats) -> Batch:
        device = self._options.device
        if not self._finish_in_threads:
            targets = None if chunk.targets is None else _moved(chunk.targets, device)
            chunk = self._maker.finish(replace(chunk, x=_moved(chunk.x, device), targets=targets), stats)
        following = self._maker.targets
        if following is not None and chunk.targets is not None:
            y: Tensor | tuple[Tensor, Tensor] = following.batched(chunk.targets)
        else:
            y = _moved(self._labels[chunk.indices], device)
        x = chunk.x
        for function in self.batch_fns:
            x, y = function(x, y)
        return Batch(x, y, chunk.indices)


_T = TypeVar("_T")


def _ahead(submissions: Iterator[_T]) -> Iterator[_T]:
    """The same in the same order, but a few are begun before the first is given out."""
    waiting: deque[_T] = deque()
    for submission in submissions:
        waiting.append(submission)
        if len(waiting) > _BATCHES_AHEAD:
            yield waiting.popleft()
    yield from waiting


def _moved(values: Tensor, device: torch.device) -> Tensor:
    if device.type != "cuda":
        return values.to(device)
    return values.pin_memory().to(device, non_blocking=True)  # the copy runs while the CPU goes on
