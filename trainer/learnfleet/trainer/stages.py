"""The stages of a job as fits, and as a user would have written them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import singledispatch
from typing import TYPE_CHECKING

from learnfleet.trainer.callback import Callback
from learnfleet.trainer.callback_registry import build_callback
from learnfleet.trainer.fitting import Fit
from learnfleet.trainer.optimizer import DEFAULT_LR, Lr
from learnfleet.trainer.schedules import FlatCosAnnealScheduler, OneCycleScheduler, SgdrScheduler
from learnfleet.trainer.spec import Component
from learnfleet.trainer.stage_spec import (
    FitFlatCosStage,
    FitOneCycleStage,
    FitSgdrStage,
    FitStage,
    FittingStage,
    FreezeStage,
    LearningRate,
    LrFindStage,
    Stage,
)

if TYPE_CHECKING:
    from learnfleet.trainer.learner import Learner


def fit_of(stage: FittingStage, learner: Learner) -> Fit:
    """A stage as arguments of a fit, with callbacks made for it. Raises LearnerError for a component it cannot make."""
    own = [build_callback(item.name, item.arguments, learner) for item in stage.callbacks]
    if isinstance(stage, FitStage):
        return Fit(stage.epochs, lr_of(stage.lr), stage.wd, own)
    lr, schedule = _schedule(stage, learner)
    return Fit(stage.epochs, lr, stage.wd, [*own, schedule])


def _schedule(stage: FitOneCycleStage | FitFlatCosStage | FitSgdrStage, learner: Learner) -> tuple[Lr, Callback]:
    if isinstance(stage, FitOneCycleStage):
        lr = lr_of(stage.max_lr)
        shape = stage.div_factor, stage.pct_start, stage.final_div
        return lr, OneCycleScheduler(learner, lr, stage.moms, *shape, stage.tot_epochs, stage.start_epoch)
    if isinstance(stage, FitFlatCosStage):
        lr = lr_of(stage.lr)
        return lr, FlatCosAnnealScheduler(learner, lr, stage.epochs, stage.moms, stage.start_pct, stage.curve)
    lr = lr_of(stage.lr_max)
    return lr, SgdrScheduler(learner, stage.n_cycles, stage.cycle_len, lr, stage.cycle_mult)


def lr_of(rate: LearningRate) -> Lr:
    """A learning rate's spec in the form that `fit` takes."""
    if rate.value is not None:
        return rate.value
    if rate.values is not None:
        return list(rate.values)
    return DEFAULT_LR if rate.stop is None else slice(rate.start, rate.stop)


@singledispatch
def describe_stage(stage: Stage) -> str:
    """A stage as a user would have called it."""
    raise TypeError(f"{type(stage).__name__} is no stage")


@describe_stage.register
def _(stage: FreezeStage) -> str:
    return {0: "unfreeze()", -1: "freeze()"}.get(stage.n, f"freeze_to({stage.n})")


@describe_stage.register
def _(stage: FitStage) -> str:
    return f"fit({stage.epochs}, {_describe_lr(stage.lr)}{_describe_callbacks(stage.callbacks)})"


@describe_stage.register
def _(stage: FitOneCycleStage) -> str:
    return f"fit_one_cycle({stage.epochs}, {_describe_lr(stage.max_lr)}{_describe_callbacks(stage.callbacks)})"


@describe_stage.register
def _(stage: FitFlatCosStage) -> str:
    return f"fit_fc({stage.epochs}, {_describe_lr(stage.lr)}{_describe_callbacks(stage.callbacks)})"


@describe_stage.register
def _(stage: FitSgdrStage) -> str:
    rate = _describe_lr(stage.lr_max)
    return f"fit_sgdr({stage.n_cycles}, {stage.cycle_len}, {rate}{_describe_callbacks(stage.callbacks)})"


@describe_stage.register
def _(stage: LrFindStage) -> str:
    return f"lr_find({_describe_lr(stage.start_lr)}, {_describe_lr(stage.end_lr)}, num_it={stage.num_it})"


def _describe_lr(rate: LearningRate) -> str:
    lr = lr_of(rate)
    if isinstance(lr, slice):
        return f"slice({lr.stop:g})" if lr.start is None else f"slice({lr.start:g}, {lr.stop:g})"
    return f"{lr:g}" if isinstance(lr, int | float) else f"[{', '.join(f'{value:g}' for value in lr)}]"


def _describe_callbacks(callbacks: Sequence[Component]) -> str:
    return f", callbacks=[{', '.join(item.name for item in callbacks)}]" if callbacks else ""
