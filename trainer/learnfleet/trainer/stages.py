"""The stages of a job as fits, and as a user would have written them."""

from __future__ import annotations

from learnfleet.trainer.fitting import Fit
from learnfleet.trainer.optimizer import DEFAULT_LR, Lr
from learnfleet.trainer.schedules import OneCycle
from learnfleet.trainer.spec import FitOneCycleStage, FitStage, FreezeStage, LearningRate, Stage


def fit_of(stage: FitStage | FitOneCycleStage) -> Fit:
    """A stage as arguments of a fit."""
    if isinstance(stage, FitStage):
        return Fit(stage.epochs, lr_of(stage.lr), stage.wd)
    moms = (stage.moms[0], stage.moms[1])
    shape = OneCycle(moms, stage.div_factor, stage.pct_start, stage.final_div)
    return Fit(stage.epochs, lr_of(stage.max_lr), stage.wd, shape)


def lr_of(rate: LearningRate) -> Lr:
    """A learning rate's spec in the form that `fit` takes."""
    if rate.value is not None:
        return rate.value
    if rate.values is not None:
        return list(rate.values)
    return DEFAULT_LR if rate.stop is None else slice(rate.start, rate.stop)


def describe_stage(stage: Stage) -> str:
    """A stage as a user would have called it."""
    if isinstance(stage, FreezeStage):
        return {0: "unfreeze()", -1: "freeze()"}.get(stage.n, f"freeze_to({stage.n})")
    if isinstance(stage, FitStage):
        return f"fit({stage.epochs}, {_describe_lr(stage.lr)})"
    return f"fit_one_cycle({stage.epochs}, {_describe_lr(stage.max_lr)})"


def _describe_lr(rate: LearningRate) -> str:
    lr = lr_of(rate)
    if isinstance(lr, slice):
        return f"slice({lr.stop:g})" if lr.start is None else f"slice({lr.start:g}, {lr.stop:g})"
    return f"{lr:g}" if isinstance(lr, int | float) else f"[{', '.join(f'{value:g}' for value in lr)}]"
