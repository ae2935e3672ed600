"""What the training loop knows at each moment. Callbacks read it, and steer by the fields that say so."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from learnfleet.trainer.batch import Batch
from learnfleet.trainer.interruption import never

if TYPE_CHECKING:
    from learnfleet.trainer.learner import Learner
    from learnfleet.trainer.loss_scaler import LossScaler
    from learnfleet.trainer.metrics import Metric

SMOOTHING = 0.98
_STOPS = ("stop_epoch", "stop_training", "skip_validate")  # what a callback may have decided for later


class CancelStep(Exception):
    """Skip the rest of this training step; gradients are dropped. Raise it on all ranks or on none."""


class CancelEpoch(Exception):
    """Leave the batches of this epoch and go on to validation. Raise it on all ranks or on none."""


class CancelTraining(Exception):
    """Leave the fit at once, without validation. Raise it on all ranks or on none."""


@dataclass
class SmoothedLoss:
    """Exponential moving average of the loss, free of the bias of its start: m = b m + (1-b) x, over 1 - b^n."""

    beta: float = SMOOTHING
    mean: float = 0.0
    count: int = 0

    def add(self, loss: float) -> float:
        self.count += 1
        self.mean = self.beta * self.mean + (1 - self.beta) * loss
        return self.value

    @property
    def value(self) -> float:
        return self.mean / (1 - self.beta**self.count) if self.count else float("nan")


@dataclass(frozen=True)
class FitPosition:
    """Where a fit stands: what has been done, on a border between two optimiser steps."""

    epoch: int = 0  # epochs of this fit that are finished
    batch: int = 0  # batches of the present epoch that are done
    smoothed: tuple[float, int] = (0.0, 0)  # mean and count of SmoothedLoss
    stops: tuple[str, ...] = ()  # those of _STOPS that are set


@dataclass
class TrainState:
    """The state of one fit.

    `iteration`, `batch` and `global_step` count from 0 and move on after `on_batch_end`. Under several ranks the
    losses, metrics and counters are the same on all of them; inputs, targets and outputs are each rank's own.
    """

    learner: Learner
    model: nn.Module  # what is called in training: learner.model, wrapped under several ranks
    n_epochs: int
    n_batches: int  # per epoch
    metrics: list[Metric] = field(default_factory=list)
    epoch: int = 0  # of this fit
    batch: int = 0  # of this epoch, training batches
    smoothed: SmoothedLoss = field(default_factory=SmoothedLoss)
    train: bool = True  # False while validating

    # Of the present batch. Callbacks may replace input and target in on_batch_begin, the output in on_loss_begin, and
    # the loss in on_backward_begin.
    last_batch: Batch | None = None
    last_input: Any = None  # as Batch.x
    last_target: Any = None  # as Batch.y
    last_output: Any = None
    loss: Tensor | None = None  # this rank's, with its graph
    last_loss: float = float("nan")  # at on_batch_end in training: mean over the global batch, before any change
    # At on_epoch_end: validation loss (None: not validated), then the metrics, then what callbacks have added.
    last_metrics: list[float | None] = field(default_factory=list)

    scaler: LossScaler | None = None  # in float16: of losses and gradients
    measured_loss: Tensor | None = None  # the loss before any change
    weighs_items: bool = False  # the loss counts by the batch's items: it is one of several of a step
    window: float = 1.0  # on_backward_begin: batches, by items, whose gradients the next step takes
    overflow: bool = False  # from on_backward_end on: the gradients are not finite, and there is no step

    # Steering. All but stop_request must be set alike on all ranks: decide from losses, metrics and counters.
    accumulating: bool = False  # on_batch_begin: keep this batch's gradients for the step of a later one
    skip_bwd: bool = False  # on_backward_begin: no backward pass for this batch
    skip_step: bool = False  # on_backward_end: no optimiser step
    skip_zero: bool = False  # on_step_end: keep the gradients for the next batch
    stop_epoch: bool = False  # on_batch_end: leave this epoch's batches, then validate
    stop_training: bool = False  # on_batch_end, on_epoch_end: no further epoch
    skip_validate: bool = False  # for the rest of the fit
    stop_request: bool = False  # on any rank, at any time: all leave the fit at this batch's end
    stop_requested: Callable[[], bool] = never  # polled at every batch end on every rank, also in validation
    save_requested: Callable[[], bool] = never  # polled at every batch end on every rank; one rank's True is all's
    save_due: bool = False  # at on_batch_end in training: a rank has asked for a checkpoint
    interrupted: bool = False  # the fit was left before its end; its position is kept unless it was in validation
    weights_chosen: bool = False  # at on_train_end: a callback has put in the weights to end with; later ones keep them
    job_stage: tuple[str, int] | None = None  # in a job: its id, and the index of the stage that this fit is
    exception: BaseException | None = None  # at on_train_end: why the fit failed

    @property
    def iteration(self) -> int:
        """Training batches done in this fit."""
        return self.epoch * self.n_batches + self.batch

    @property
    def num_batch(self) -> int:
        """Training batches done in this epoch (fastai's name)."""
        return self.batch

    @property
    def global_step(self) -> int:
        """Training batches done in the learner's life."""
        return self.learner.global_step

    @property
    def lifetime_epoch(self) -> int:
        """Epochs done in the learner's life."""
        return self.learner.lifetime_epoch

    @property
    def smooth_loss(self) -> float:
        return self.smoothed.value

    @property
    def is_last_batch(self) -> bool:
        """Whether the present training batch is the last of its epoch."""
        return self.batch + 1 >= self.n_batches

    def position(self, *, epochs_more: int = 0, batches_more: int = 0) -> FitPosition:
        """Where the fit will stand when the present epoch or batch, if counted here, is over."""
        smoothed = (self.smoothed.mean, self.smoothed.count)
        stops = tuple(name for name in _STOPS if getattr(self, name))
        if epochs_more:
            return FitPosition(self.epoch + epochs_more, 0, smoothed, stops)
        return FitPosition(self.epoch, self.batch + batches_more, smoothed, stops)

    def move_to(self, position: FitPosition) -> None:
        self.epoch, self.batch = position.epoch, position.batch
        self.smoothed.mean, self.smoothed.count = position.smoothed
        for name in _STOPS:
            setattr(self, name, name in position.stops)

    def take(self, batch: Batch, *, train: bool) -> None:
        """Begin a batch."""
        self.train = train
        self.last_batch, self.last_input, self.last_target = batch, batch.x, batch.y
        self.last_output = self.loss = self.measured_loss = None
        self.skip_bwd = self.skip_step = self.skip_zero = False
        self.accumulating = self.weighs_items = self.overflow = False
        self.window = 1.0
