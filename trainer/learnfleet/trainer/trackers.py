"""Callbacks that follow a value over the epochs: stop early, keep the best, lower the rate (fastai v1's names)."""

from __future__ import annotations

import logging
import math
import sys
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from learnfleet.trainer.callback import Callback, LearnerCallback
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.state import TrainState

if TYPE_CHECKING:
    from learnfleet.trainer.learner import Learner

_log = logging.getLogger(__name__)

Mode = Literal["auto", "min", "max"]


class TrackerCallback(LearnerCallback):
    """Follows one value; the base of the others.

    Args:
        monitor: "train_loss" (smoothed), "valid_loss" or the name of a metric. An unknown name is an error when
            training begins; fastai only warns, and then does nothing.
        mode: whether less or more is better. "auto": less, where the name says loss or error.

    Attributes:
        best: the best value so far in this fit.
    """

    def __init__(self, learn: Learner, monitor: str = "valid_loss", mode: Mode = "auto") -> None:
        super().__init__(learn)
        if mode not in ("auto", "min", "max"):
            raise LearnerError("mode", f"{mode!r} is not one of auto, min, max")
        self.monitor = monitor
        is_less_better = mode == "min" or (mode == "auto" and ("loss" in monitor or "error" in monitor))
        self.sign = -1.0 if is_less_better else 1.0
        self.best = -self.sign * math.inf

    def on_train_begin(self, state: TrainState) -> None:
        self.best = -self.sign * math.inf
        recorder = state.learner.recorder
        known = ["train_loss", *(["valid_loss", *recorder.metric_names] if recorder.has_validation else [])]
        if self.monitor not in known:
            raise LearnerError("monitor", f"{self.monitor!r} is not recorded; there are {', '.join(known)}")

    def value(self, state: TrainState) -> float | None:
        """At the end of an epoch: what is followed; None where it was not measured or is no number."""
        value: float | None
        if self.monitor == "train_loss":
            value = state.smooth_loss
        else:
            names = ["valid_loss", *state.learner.recorder.metric_names]
            value = dict(zip(names, state.last_metrics, strict=False)).get(self.monitor)
        return None if value is None or math.isnan(value) else value

    def is_better(self, value: float, min_delta: float = 0.0) -> bool:
        """Better than the best by more than `min_delta`."""
        return self.sign * value - min_delta > self.sign * self.best

    def state_dict(self) -> dict[str, Any]:
        return {"best": self.best if math.isfinite(self.best) else None}

    def load_state_dict(self, values: dict[str, Any]) -> None:
        self.best = -self.sign * math.inf if values["best"] is None else float(values["best"])


class _Patient(TrackerCallback):
    """Waits for an improvement."""

    def __init__(self, learn: Learner, monitor: str, mode: Mode, min_delta: float, patience: int) -> None:
        super().__init__(learn, monitor, mode)
        if patience < 0:
            raise LearnerError("patience", f"{patience} is not possible: 0 ends the patience at the first bad epoch")
        self.min_delta, self.patience, self.wait = abs(min_delta), patience, 0

    def on_train_begin(self, state: TrainState) -> None:
        super().on_train_begin(state)
        self.wait = 0

    def on_epoch_end(self, state: TrainState) -> None:
        value = self.value(state)
        if value is None:
            return
        if self.is_better(value, self.min_delta):
            self.best, self.wait = value, 0
            return
        self.wait += 1
        if self.wait > self.patience:
            self.lost_patience(state)

    def lost_patience(self, state: TrainState) -> None:
        """More than `patience` epochs without an improvement."""

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "wait": self.wait}

    def load_state_dict(self, values: dict[str, Any]) -> None:
        super().load_state_dict(values)
        self.wait = int(values["wait"])


class EarlyStoppingCallback(_Patient):
    """Stops when more than `patience` epochs in a row were not better by more than `min_delta`.

    The weights stay as they are; SaveModelCallback goes back to the best.
    """

    def __init__(
        self,
        learn: Learner,
        monitor: str = "valid_loss",
        mode: Mode = "auto",
        min_delta: float = 0.0,
        patience: int = 0,
    ) -> None:
        super().__init__(learn, monitor, mode, min_delta, patience)

    def lost_patience(self, state: TrainState) -> None:
        if state.learner.world.is_main and not state.learner.silent:
            sys.stdout.write(f"Epoch {state.epoch}: early stopping\n")
        state.stop_training = True


class ReduceLROnPlateauCallback(_Patient):
    """Multiplies the learning rates by `factor` when more than `patience` epochs were not better.

    Every layer group keeps its share and none goes below `min_lr`; fastai v1 sets all groups to the last one's rate.
    Where all are at `min_lr` already, as with the default and fit(lr=1e-3), a warning says so.
    """

    def __init__(
        self,
        learn: Learner,
        monitor: str = "valid_loss",
        mode: Mode = "auto",
        patience: int = 0,
        factor: float = 0.2,
        min_delta: float = 0.0,
        min_lr: float = 1e-3,
    ) -> None:
        super().__init__(learn, monitor, mode, min_delta, patience)
        if not 0 < factor < 1:
            raise LearnerError("factor", f"{factor} is not between 0 and 1: rates are multiplied by it (v2 divides)")
        self.factor, self.min_lr = factor, min_lr
        self._has_told = False

    def lost_patience(self, state: TrainState) -> None:
        optimizer = state.learner.require_optimizer()
        lrs = optimizer.hyper_parameters()["lr"]
        lowered = [max(lr * self.factor, min(lr, self.min_lr)) for lr in lrs]
        if lowered != lrs:
            optimizer.set_lr(lowered)
            self.wait = 0
        elif not self._has_told:
            self._has_told = True
            _log.warning(
                "ReduceLROnPlateauCallback: no rate is above min_lr=%g, so none is lowered: give a smaller min_lr",
                self.min_lr,
            )


class SaveModelCallback(TrackerCallback):
    """Saves the learner when the value is better than ever in this fit, or every epoch, and ends with the best.

    Only what this fit has saved is loaded again at its end; fastai v1 loads whatever an earlier run has left there.

    Args:
        every: "improvement" saves as `name`; "epoch" as `name_0`, `name_1`, ...: a fit that begins with a later epoch
            (`start_epoch`) loads that of the one before.
        with_opt: with the optimiser's moments.
    """

    order: ClassVar[int] = 5  # after those that change the metrics

    def __init__(
        self,
        learn: Learner,
        monitor: str = "valid_loss",
        mode: Mode = "auto",
        every: Literal["improvement", "epoch"] = "improvement",
        name: str = "bestmodel",
        with_opt: bool = True,
    ) -> None:
        super().__init__(learn, monitor, mode)
        if every not in ("improvement", "epoch"):
            raise LearnerError("every", f"{every!r} is not one of improvement, epoch")
        self.every, self.name, self.with_opt = every, name, with_opt
        self.saved_epoch: int | None = None  # of this fit

    def on_train_begin(self, state: TrainState) -> None:
        super().on_train_begin(state)
        self.saved_epoch = None

    def jump_to_epoch(self, epoch: int) -> None:
        """A fit that begins with a later epoch goes on with what was saved at the end of the one before it."""
        if self.every != "epoch":
            return
        name, rates = f"{self.name}_{epoch - 1}", self.learn.require_optimizer().hyper_parameters()
        try:
            self.learn.load(name, with_opt=None if self.with_opt else False)
            self.learn.lifetime_epoch += 1  # the epoch at whose end it was saved is over
        except FileNotFoundError:
            _log.warning("SaveModelCallback: no %s to begin epoch %d with: the weights stay as they are", name, epoch)
        self.learn.require_optimizer().load_hyper_parameters(rates)  # those of this fit, not of the one that was saved

    def on_epoch_end(self, state: TrainState) -> None:
        if self.every == "epoch":
            state.learner.save(f"{self.name}_{state.epoch}", with_opt=self.with_opt)
            return
        value = self.value(state)
        if value is not None and self.is_better(value):
            self.best, self.saved_epoch = value, state.epoch
            state.learner.save(self.name, with_opt=self.with_opt)

    def on_train_end(self, state: TrainState) -> None:
        finished = state.exception is None and not state.interrupted
        if self.every == "improvement" and self.saved_epoch is not None and finished:
            steps, epochs = state.learner.global_step, state.learner.lifetime_epoch
            state.learner.load(self.name, with_opt=self.with_opt)
            state.weights_chosen = True
            # The learner has lived through the later epochs: random choices go on from here.
            state.learner.global_step, state.learner.lifetime_epoch = steps, epochs

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "saved_epoch": self.saved_epoch}

    def load_state_dict(self, values: dict[str, Any]) -> None:
        super().load_state_dict(values)
        self.saved_epoch = values["saved_epoch"]


class TerminateOnNaNCallback(Callback):
    """Ends the fit at a loss that is no finite number, without validation. fastai v1 lets infinity pass."""

    def on_batch_end(self, state: TrainState) -> None:
        if state.train and state.loss is not None and not math.isfinite(state.last_loss):
            if state.learner.world.is_main and not state.learner.silent:
                place = f"Epoch/Batch ({state.epoch}/{state.batch})"
                sys.stdout.write(f"{place}: Invalid loss, terminating training.\n")
            state.stop_epoch = state.stop_training = state.skip_validate = True


class StopAfterNBatches(Callback):
    """Ends the fit after `n_batches` training batches, without validation: to try whether everything runs."""

    def __init__(self, n_batches: int = 2) -> None:
        if n_batches < 1:
            raise LearnerError("n_batches", f"{n_batches} is not possible: train at least 1 batch")
        self.n_batches = n_batches

    def on_batch_end(self, state: TrainState) -> None:
        if state.train and state.iteration + 1 >= self.n_batches:
            state.stop_epoch = state.stop_training = state.skip_validate = True
