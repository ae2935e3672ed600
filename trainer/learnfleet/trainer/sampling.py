"""Over- and under-sampling: rare classes are seen as often as the others (fastai v1 `OverSamplingCallback`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor

from learnfleet.trainer.callback import LearnerCallback
from learnfleet.trainer.counter import uniform
from learnfleet.trainer.dataset_loader import DatasetLoader
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.loader import ImageLoader, Sampler
from learnfleet.trainer.state import TrainState

if TYPE_CHECKING:
    from learnfleet.trainer.learner import Learner


class WeightedSampler:
    """Draws with replacement, each item by its weight. A pure function of (seed, epoch).

    Args:
        weights: one an item, not negative.
        length: items an epoch.
    """

    def __init__(self, weights: Tensor, length: int, seed: int) -> None:
        self._borders, self._length, self._seed = weights.double().cumsum(0), length, seed

    def __len__(self) -> int:
        return self._length

    def order(self, epoch: int) -> Tensor:
        u = uniform(self._seed, epoch, torch.arange(self._length), 1)[:, 0]
        return torch.searchsorted(self._borders, u * self._borders[-1], right=True).clamp_max(len(self._borders) - 1)


class OverSamplingCallback(LearnerCallback):
    """An epoch has as many items of every class as the most frequent has, on average: they are drawn with replacement.

    Args:
        weights: one a training item. Default: 1 / items of its class.
    """

    def __init__(self, learn: Learner, weights: Sequence[float] | Tensor | None = None) -> None:
        super().__init__(learn)
        self._weights = None if weights is None else torch.as_tensor(weights, dtype=torch.float64)
        self._loader: ImageLoader | DatasetLoader | None = None
        self._before: Sampler | None = None

    order: ClassVar[int] = -20  # before the schedules, which count the batches of an epoch

    def on_train_begin(self, state: TrainState) -> None:
        loader = state.learner.data.train_dl
        labels = loader.labels() if isinstance(loader, ImageLoader | DatasetLoader) else None
        if labels is None or not isinstance(loader, ImageLoader | DatasetLoader):
            raise LearnerError("callbacks", f"{type(self).__name__} needs training items that have one class each")
        counts = labels.bincount()
        weights = (1.0 / counts.clamp_min(1).double())[labels] if self._weights is None else self._weights
        if len(weights) != len(labels) or bool((weights < 0).any()) or not float(weights.sum()) > 0:
            raise LearnerError(
                "weights", f"{len(weights)} weights for {len(labels)} items; give one each, not negative"
            )
        self._loader, self._before = loader, loader.sampler
        loader.sampler = WeightedSampler(weights, self._length(counts[counts > 0]), state.learner.seed)
        if not len(loader):
            raise LearnerError(
                "data.bs", f"{loader.batch_size} is more than the {len(loader.sampler)} items that an epoch then has"
            )
        state.n_batches = len(loader)

    @staticmethod
    def _length(counts: Tensor) -> int:
        return int(len(counts) * counts.max())

    def on_train_end(self, state: TrainState) -> None:
        if self._loader is not None:
            self._loader.sampler = self._before
            self._loader = None


class UnderSamplingCallback(OverSamplingCallback):
    """As OverSamplingCallback, but an epoch has as many items of every class as the rarest has."""

    @staticmethod
    def _length(counts: Tensor) -> int:
        return int(len(counts) * counts.min())
