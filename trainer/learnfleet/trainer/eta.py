"""How long a job still takes, by what its batches and validations have taken."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from learnfleet.trainer.stage_spec import FitOneCycleStage, FreezeStage, LrFindStage, Stage

_BATCH_BETA, _VALIDATION_BETA = 0.95, 0.5
_FORWARD_SHARE = 1 / 3  # of a training batch: forward passes alone, until a validation has been measured


@dataclass(frozen=True)
class Work:
    """Batches to train on, and epochs to validate after."""

    batches: int
    validations: int

    def __add__(self, other: Work) -> Work:
        return Work(self.batches + other.batches, self.validations + other.validations)


def work_of(stages: Sequence[Stage], batches_per_epoch: int) -> Work:
    """What stages come to when none of them ends early."""
    total = Work(0, 0)
    for stage in stages:
        total += _work_of(stage, batches_per_epoch)
    return total


def _work_of(stage: Stage, batches_per_epoch: int) -> Work:
    if isinstance(stage, FreezeStage):
        return Work(0, 0)
    if isinstance(stage, LrFindStage):
        return Work(stage.num_it, 0)
    begins_with = stage.start_epoch or 0 if isinstance(stage, FitOneCycleStage) else 0
    epochs = max(stage.epochs - begins_with, 0)
    return Work(epochs * batches_per_epoch, epochs)


@dataclass
class _Mean:
    """Exponential moving mean, free of the bias of its start."""

    beta: float
    total: float = 0.0
    count: int = 0

    def add(self, value: float) -> None:
        self.count += 1
        self.total = self.beta * self.total + (1 - self.beta) * value

    @property
    def value(self) -> float | None:
        return self.total / (1 - self.beta**self.count) if self.count else None


@dataclass
class TimeLeft:
    """Measures a job's batches and validations as it is told of them, and tells what is left of it.

    A stage's batches are measured anew, as other layers may be frozen; those of later stages are taken to be like the
    present one's.

    Args:
        clock_s: monotonic.
    """

    clock_s: Callable[[], float] = time.monotonic
    _batch: _Mean = field(default_factory=lambda: _Mean(_BATCH_BETA))
    _validation: _Mean = field(default_factory=lambda: _Mean(_VALIDATION_BETA))
    _since_s: float = 0.0

    def fit_begins(self) -> None:
        self._batch = _Mean(_BATCH_BETA)
        self._since_s = self.clock_s()

    def epoch_begins(self) -> None:
        self._since_s = self.clock_s()

    def batch_ends(self) -> None:
        self._batch.add(self._lap_s())

    def epoch_ends(self) -> None:
        """After its validation."""
        self._validation.add(self._lap_s())

    def _lap_s(self) -> float:
        now_s = self.clock_s()
        lap_s, self._since_s = now_s - self._since_s, now_s
        return lap_s

    def of(self, work: Work, validation_batches: int) -> float | None:
        """Seconds that the work takes. None before the stage's first batch.

        Args:
            validation_batches: in one validation.
        """
        batch_s, validation_s = self._batch.value, self._validation.value
        if batch_s is None:
            return None
        if validation_s is None:
            validation_s = validation_batches * batch_s * _FORWARD_SHARE
        return work.batches * batch_s + work.validations * validation_s
