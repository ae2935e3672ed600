"""The callbacks of a job: checkpoints, events, and the end of a run whose loss is no number."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import Any

from learnfleet.trainer.callback import Callback
from learnfleet.trainer.errors import NonFiniteLoss
from learnfleet.trainer.eta import TimeLeft, Work, work_of
from learnfleet.trainer.run_context import Emit, JobPosition, RunContext
from learnfleet.trainer.stage_spec import Stage
from learnfleet.trainer.state import TrainState

_BATCH_EVENTS_EVERY_S = 0.2


class FailOnNonFiniteLoss(Callback):
    """Ends the run with NonFiniteLoss. The loss is the global batch's, so all ranks end at the same step."""

    order = -100  # before anything could save or report what is broken

    def on_batch_end(self, state: TrainState) -> None:
        if state.train and state.loss is not None and not math.isfinite(state.last_loss):
            raise NonFiniteLoss(state.global_step, state.last_loss)


class Checkpoints(Callback):
    """Asks for a checkpoint at the end of every epoch, by time and steps within it, and at an agreed stop.

    It is there on every rank, and all ask at the same step: rank 0 says when.

    Not at the end of the last epoch: callbacks may still change the learner when the fit ends, and what is saved must
    be what the next stage begins with. That checkpoint is for whoever runs the stages.

    Not while gradients are added up for a later step.

    Args:
        save: takes the position that a run resumed from the checkpoint is to go on from.
        is_busy: whether the one before is still being written; one that is due by time then waits.
        prepare: called once there is an optimiser with moments, to make memory for the first snapshot.
    """

    order = 900  # after all callbacks whose state it saves

    def __init__(
        self,
        context: RunContext,
        stage: int,
        save: Callable[[JobPosition], None],
        is_busy: Callable[[], bool],
        prepare: Callable[[], None],
    ) -> None:
        self._every_s, self._every_steps = context.checkpoint_every_s, context.checkpoint_every_steps
        self._stage, self._save, self._is_busy = stage, save, is_busy
        self._prepare: Callable[[], None] | None = prepare
        self._saved_at_s, self._saved_at_step = time.monotonic(), 0

    def on_train_begin(self, state: TrainState) -> None:
        self._note(state.global_step)
        learner = state.learner
        if learner.world.is_main:
            state.save_requested = lambda: self._is_due(learner.global_step + 1)

    def on_batch_end(self, state: TrainState) -> None:
        if state.train and not state.accumulating and self._prepare is not None:
            self._prepare()
            self._prepare = None
        if state.train and (state.interrupted or state.save_due):
            self._save(JobPosition(self._stage, state.position(batches_more=1)))
            self._note(state.global_step + 1)

    def on_epoch_end(self, state: TrainState) -> None:
        is_over = state.stop_training or state.epoch + 1 >= state.n_epochs
        if not is_over:
            self._save(JobPosition(self._stage, state.position(epochs_more=1)))
            self._note(state.global_step)

    def _is_due(self, step: int) -> bool:
        if self._every_steps is not None and step - self._saved_at_step >= self._every_steps:
            return True
        late = self._every_s is not None and time.monotonic() - self._saved_at_s >= self._every_s
        return late and not self._is_busy()

    def _note(self, step: int) -> None:
        self._saved_at_s, self._saved_at_step = time.monotonic(), step


class EventReporter(Callback):
    """Tells how a fit goes: a few times a second, and at the end of every epoch. For rank 0.

    Args:
        stage: the fit's index among the job's stages.
        later: the stages after it.
        time_left: the job's own.
    """

    order = 800  # after the recorder, before the checkpoint

    def __init__(self, emit: Emit, stage: int, later: Sequence[Stage], time_left: TimeLeft) -> None:
        self._emit, self._stage, self._later, self._time_left = emit, stage, later, time_left
        self._clock_s = time_left.clock_s
        self._said_at_s = self._clock_s()
        self._samples = self._batches = 0  # since then
        self._told: dict[str, float] = {}  # of the time between the last two events

    def on_train_begin(self, state: TrainState) -> None:
        self._time_left.fit_begins()

    def on_epoch_begin(self, state: TrainState) -> None:
        self._said_at_s, self._samples, self._batches = self._clock_s(), 0, 0
        self._time_left.epoch_begins()

    def on_batch_end(self, state: TrainState) -> None:
        if not state.train:
            return
        self._time_left.batch_ends()
        self._samples += state.learner.data.train_dl.batch_size
        self._batches += 1
        elapsed_s = self._clock_s() - self._said_at_s
        if elapsed_s >= _BATCH_EVENTS_EVERY_S or state.is_last_batch or state.iteration == 0:
            self._told = {"batches_since": self._batches, "samples_since": self._samples, "elapsed_s": elapsed_s}
            self._said_at_s, self._samples, self._batches = self._clock_s(), 0, 0
            self._emit(f"batch/{state.global_step + 1}", "batch", self._batch(state))

    def _batch(self, state: TrainState) -> dict[str, Any]:
        optimizer = state.learner.require_optimizer()
        return {
            "stage": self._stage,
            "epoch": state.epoch,
            "epochs": state.n_epochs,
            "batch": state.batch + 1,
            "batches": state.n_batches,
            "step": state.global_step + 1,
            "loss": state.smooth_loss,
            "lr": state.learner.recorder.lrs[-1],
            "mom": state.learner.recorder.moms[-1] if state.learner.recorder.moms else optimizer.mom,
            "samples_per_s": self._told["samples_since"] / max(self._told["elapsed_s"], 1e-9),
            **self._told,
            "eta_s": self._eta_s(state),
        }

    def _eta_s(self, state: TrainState) -> float | None:
        """Seconds to the end of the job."""
        loader = state.learner.data.valid_dl
        own = Work(state.n_epochs * state.n_batches - state.iteration - 1, state.n_epochs - state.epoch)
        left = own + work_of(self._later, state.n_batches)
        if loader is None or state.skip_validate:
            left = Work(left.batches, 0)
        return self._time_left.of(left, len(loader) if loader is not None else 0)

    def on_epoch_end(self, state: TrainState) -> None:
        self._time_left.epoch_ends()
        recorder = state.learner.recorder
        row = recorder.rows[-1]
        metrics = {name: finite(value) for name, value in row.metrics.items()}
        validation = [finite(row.valid_loss), *(metrics.get(name) for name in recorder.metric_names)]
        values = [row.epoch, row.train_loss, *(validation if recorder.has_validation else []), row.time_s]
        data = {
            "stage": self._stage,
            "epoch": row.epoch,
            "lifetime_epoch": row.lifetime_epoch,
            "step": state.global_step,
            "names": recorder.names,
            "values": values,
            "train_loss": row.train_loss,
            "valid_loss": finite(row.valid_loss),
            "metrics": metrics,
            "time_s": row.time_s,
        }
        self._emit(f"epoch/{row.lifetime_epoch}", "epoch", data)


def finite(value: float | None) -> float | None:
    """None for what JSON has no number for."""
    return value if value is not None and math.isfinite(value) else None
