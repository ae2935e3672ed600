"""The steps of a training job as values: plain dataclasses that import no torch, as in `spec`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from learnfleet.trainer.spec_base import Component, Json, Spec

WeightDecay: TypeAlias = float | tuple[float, ...] | None  # one value, one a layer group, or the optimiser's


@dataclass(frozen=True)
class LearningRate(Spec):
    """One value for all layer groups, a slice (`slice(stop)` or `slice(start, stop)`), or one value a group.

    Exactly one of the forms is set. slice(stop): the last group `stop`, the others `stop / 10`;
    slice(start, stop): geometric from start to stop (fastai `lr_range`).
    """

    value: float | None = None
    start: float | None = None
    stop: float | None = None
    values: tuple[float, ...] | None = None


def _default_lr() -> LearningRate:
    return LearningRate(stop=3e-3)


@dataclass(frozen=True)
class FitStage(Spec):
    """`Learner.fit`."""

    epochs: int
    lr: LearningRate = field(default_factory=_default_lr)
    wd: WeightDecay = None
    callbacks: tuple[Component, ...] = ()  # of this stage only, after the learner's


@dataclass(frozen=True)
class FitOneCycleStage(Spec):
    """`Learner.fit_one_cycle` (fastai v1 defaults)."""

    epochs: int
    max_lr: LearningRate = field(default_factory=_default_lr)
    moms: tuple[float, ...] = (0.95, 0.85)
    div_factor: float = 25.0
    pct_start: float = 0.3
    final_div: float | None = None  # None: div_factor * 1e4
    wd: WeightDecay = None
    callbacks: tuple[Component, ...] = ()
    tot_epochs: int | None = None  # of the whole cycle. None: `epochs`
    start_epoch: int | None = None  # the first epoch to train; those before it are done


@dataclass(frozen=True)
class FitFlatCosStage(Spec):
    """`Learner.fit_fc` (fastai v1): constant rate and momentum, then annealed."""

    epochs: int
    lr: LearningRate = field(default_factory=_default_lr)
    moms: tuple[float, ...] = (0.95, 0.85)
    start_pct: float = 0.72
    wd: WeightDecay = None
    callbacks: tuple[Component, ...] = ()
    curve: Literal["cosine", "linear", "exponential"] = "cosine"


@dataclass(frozen=True)
class FitSgdrStage(Spec):
    """`Learner.fit_sgdr` (fastai v2): cycles, each `cycle_mult` times as long as the one before."""

    n_cycles: int
    cycle_len: int
    lr_max: LearningRate = field(default_factory=_default_lr)
    cycle_mult: int = 2
    wd: WeightDecay = None
    callbacks: tuple[Component, ...] = ()

    @property
    def epochs(self) -> int:
        return sum(self.cycle_len * self.cycle_mult**index for index in range(self.n_cycles))


@dataclass(frozen=True)
class LrFindStage(Spec):
    """`Learner.lr_find`: leaves the learner as it was, and an event with what it found."""

    start_lr: LearningRate = field(default_factory=lambda: LearningRate(value=1e-7))
    end_lr: LearningRate = field(default_factory=lambda: LearningRate(value=10.0))
    num_it: int = 100
    stop_div: bool = True
    wd: WeightDecay = None


@dataclass(frozen=True)
class FreezeStage(Spec):
    """`Learner.freeze_to(n)`: layer groups [0, n) are frozen. -1 is `freeze()`, 0 is `unfreeze()`."""

    n: int


FittingStage: TypeAlias = FitStage | FitOneCycleStage | FitFlatCosStage | FitSgdrStage
Stage: TypeAlias = FittingStage | LrFindStage | FreezeStage

_STAGES: dict[str, type[Stage]] = {
    "fit": FitStage,
    "fit_one_cycle": FitOneCycleStage,
    "fit_flat_cos": FitFlatCosStage,
    "fit_sgdr": FitSgdrStage,
    "lr_find": LrFindStage,
    "freeze_to": FreezeStage,
}


def fine_tune_stages(
    epochs: int,
    base_lr: float = 2e-3,
    freeze_epochs: int = 1,
    lr_mult: float = 100.0,
    pct_start: float = 0.3,
    div: float = 5.0,
    wd: WeightDecay = None,
    callbacks: Sequence[Component] = (),
) -> tuple[Stage, ...]:
    """The stages of `Learner.fine_tune` (fastai v2): the head, then all with discriminative rates at half the rate."""
    own, half = tuple(callbacks), base_lr / 2
    rate = LearningRate(stop=base_lr)
    head = FitOneCycleStage(freeze_epochs, rate, pct_start=0.99, final_div=1e5, wd=wd, callbacks=own)
    rates = LearningRate(start=half / lr_mult, stop=half)
    whole = FitOneCycleStage(epochs, rates, div_factor=div, pct_start=pct_start, final_div=1e5, wd=wd, callbacks=own)
    return FreezeStage(-1), head, FreezeStage(0), whole


def kind_of(stage: Stage) -> str:
    """The name that requests and JSON have for such a stage."""
    return next(name for name, cls in _STAGES.items() if isinstance(stage, cls))


def stage_to_json(stage: Stage) -> Json:
    """{"kind": ..., plus the stage's fields}."""
    return {"kind": kind_of(stage), **stage.to_json()}


def stage_from_json(value: Json) -> Stage:
    """Inverse of `stage_to_json`. Raises ValueError for an unknown kind or field."""
    fields = dict(value)
    kind = fields.pop("kind", None)
    if kind not in _STAGES:
        raise ValueError(f"unknown stage kind {kind!r}; known: {', '.join(_STAGES)}")
    return _STAGES[kind].from_json(fields)
