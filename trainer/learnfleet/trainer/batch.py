"""What flows from the data to the loop: `Batch`, and the `Loader` protocol that yields it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor

__all__ = ["Batch", "Loader", "PairsOfBatches", "Shard", "as_arguments", "count_items"]


@dataclass(frozen=True)
class Batch:
    """One rank's share of a global batch, on the compute device and ready for the model.

    `x` and `y` are a tensor [N, ...], or a tuple or list of such tensors for models of several inputs or targets.
    Of pictures: x float32 [N, C, H, W], normalised and augmented; y int64 [N] class indices, float32 [N, C] for several
    labels a picture, int64 [N, 1, H, W] for masks.
    """

    x: Any
    y: Any
    indices: Tensor  # int64 [N] on the CPU: positions in the dataset, so that results can be put back in order

    @property
    def n(self) -> int:
        """Items in this share."""
        return len(self.indices)


def count_items(values: Any) -> int:
    """The items of a tensor [N, ...] or of a tuple or list of them: N of the first."""
    while isinstance(values, tuple | list):
        values = values[0]
    return len(values)


def as_arguments(values: Any) -> Sequence[Any]:
    """What a model (or a loss, for its targets) is called with: several inputs become several arguments."""
    return values if isinstance(values, tuple | list) else (values,)


@dataclass(frozen=True)
class Shard:
    """Which part of every global batch this process takes."""

    rank: int = 0
    world_size: int = 1


class Loader(Protocol):
    """Batches of one dataset as a pure function of (epoch, batch number): no state to save.

    A training loader shuffles, drops the last partial batch and yields the same number of batches on every rank; all
    others keep the dataset's order, cover every picture exactly once over all ranks, and may yield different numbers
    of batches on different ranks.
    """

    batch_size: int  # pictures per batch over all ranks

    def __len__(self) -> int:
        """Batches per epoch (of the global batch size)."""
        ...

    def epoch(self, epoch: int, start_batch: int = 0) -> Iterator[Batch]:
        """The batches [start_batch, ...) of `epoch`, identical however often and from wherever it is asked."""
        ...

    def shard(self, shard: Shard) -> None:
        """From the next `epoch` call on, yield only this shard's part."""
        ...


class PairsOfBatches(ABC):
    """`for x, y in loader`, as loops of one's own are written: the inputs and targets of one epoch.

    A training loader shuffles and augments anew each time. Training takes no notice: it counts its own epochs.
    """

    _iterated = 0

    @abstractmethod
    def epoch(self, epoch: int, start_batch: int = 0) -> Iterator[Batch]:
        """As a `Loader`'s."""

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        epoch, self._iterated = self._iterated, self._iterated + 1
        for batch in self.epoch(epoch):
            yield batch.x, batch.y
