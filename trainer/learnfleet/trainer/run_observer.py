"""Where a run stands, on every rank, for whoever runs it: its logs, its traces."""

from __future__ import annotations

from typing import ClassVar, Protocol

from learnfleet.trainer.callback import Callback
from learnfleet.trainer.state import TrainState


class RunObserver(Protocol):
    """Told of a fit's epochs and training steps, by the thread that trains: none of this may take long or raise."""

    def epoch_begins(self, stage: int, epoch: int) -> None:
        """`epoch` counts from 0 within the stage. Of a run that is resumed in mid-epoch: with its first batch."""

    def step_begins(self, step: int) -> None:
        """A training batch is there. `step` counts from 0 across all stages and attempts."""

    def step_ends(self) -> None:
        """Its optimiser step is done, if it had one."""

    def epoch_ends(self) -> None:
        """Its validation is done, or the fit has ended before."""


class Observed(Callback):
    """Tells an observer. Changes nothing."""

    order: ClassVar[int] = -1000  # the batch of a step begins before other callbacks work on it

    def __init__(self, observer: RunObserver, stage: int) -> None:
        self._observer, self._stage = observer, stage
        self._is_inside = False

    def on_epoch_begin(self, state: TrainState) -> None:
        self._enter(state)

    def on_batch_begin(self, state: TrainState) -> None:
        if state.train:
            self._enter(state)
            self._observer.step_begins(state.global_step)

    def on_batch_end(self, state: TrainState) -> None:
        if state.train:
            self._observer.step_ends()

    def on_epoch_end(self, state: TrainState) -> None:
        self._leave()

    def on_train_end(self, state: TrainState) -> None:
        self._leave()

    def _enter(self, state: TrainState) -> None:
        if not self._is_inside:
            self._is_inside = True
            self._observer.epoch_begins(self._stage, state.epoch)

    def _leave(self) -> None:
        if self._is_inside:
            self._is_inside = False
            self._observer.epoch_ends()
