"""What is done with a remote learner: the stages of a job, and their protobuf form."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self, TypeAlias

from learnfleet.client.components import Component, Components, as_components, component_to_proto
from learnfleet.v1 import job_pb2, learner_pb2

Lr: TypeAlias = "float | slice | Sequence[float]"
Wd: TypeAlias = "float | Sequence[float] | None"


class _Stage:
    """What all stages can."""

    def with_callbacks(self, callbacks: Sequence[Component]) -> Self:
        """The same with these callbacks, too, where it is a fit."""
        if not callbacks or not hasattr(self, "callbacks"):
            return self
        own: Any = self
        changed: Self = replace(own, callbacks=(*callbacks, *own.callbacks))
        return changed


@dataclass(frozen=True)
class Fit(_Stage):
    """A stage: constant learning rate."""

    epochs: int
    lr: Lr = field(default_factory=lambda: slice(3e-3))
    wd: Wd = None
    callbacks: tuple[Component, ...] = ()

    def to_proto(self) -> job_pb2.Stage:
        fit = job_pb2.Fit(epochs=self.epochs, lr=lr_to_proto(self.lr), callbacks=_callbacks(self.callbacks))
        put_wd(fit, self.wd)
        return job_pb2.Stage(fit=fit)


@dataclass(frozen=True)
class FitOneCycle(_Stage):
    """A stage: the one-cycle policy (Smith 2018, arXiv:1803.09820), with fastai v1's defaults."""

    epochs: int
    max_lr: Lr = field(default_factory=lambda: slice(3e-3))
    moms: tuple[float, float] = (0.95, 0.85)
    div_factor: float = 25.0
    pct_start: float = 0.3
    final_div: float | None = None
    wd: Wd = None
    callbacks: tuple[Component, ...] = ()
    tot_epochs: int | None = None
    start_epoch: int | None = None

    def to_proto(self) -> job_pb2.Stage:
        fit = job_pb2.FitOneCycle(
            epochs=self.epochs,
            max_lr=lr_to_proto(self.max_lr),
            moms=self.moms,
            div_factor=self.div_factor,
            pct_start=self.pct_start,
            final_div=self.final_div,
            callbacks=_callbacks(self.callbacks),
            tot_epochs=self.tot_epochs,
            start_epoch=self.start_epoch,
        )
        put_wd(fit, self.wd)
        return job_pb2.Stage(fit_one_cycle=fit)


@dataclass(frozen=True)
class FitFlatCos(_Stage):
    """A stage: constant learning rate, then annealed (fastai `fit_fc`)."""

    epochs: int
    lr: Lr = field(default_factory=lambda: slice(3e-3))
    moms: tuple[float, float] = (0.95, 0.85)
    start_pct: float = 0.72
    curve: str = "cosine"
    wd: Wd = None
    callbacks: tuple[Component, ...] = ()

    def to_proto(self) -> job_pb2.Stage:
        fit = job_pb2.FitFlatCos(
            epochs=self.epochs,
            lr=lr_to_proto(self.lr),
            moms=self.moms,
            start_pct=self.start_pct,
            curve=self.curve,
            callbacks=_callbacks(self.callbacks),
        )
        put_wd(fit, self.wd)
        return job_pb2.Stage(fit_flat_cos=fit)


@dataclass(frozen=True)
class FitSgdr(_Stage):
    """A stage: cosine cycles with warm restarts (fastai `fit_sgdr`)."""

    n_cycles: int
    cycle_len: int
    lr_max: Lr = field(default_factory=lambda: slice(3e-3))
    cycle_mult: int = 2
    wd: Wd = None
    callbacks: tuple[Component, ...] = ()

    def to_proto(self) -> job_pb2.Stage:
        fit = job_pb2.FitSgdr(
            n_cycles=self.n_cycles,
            cycle_len=self.cycle_len,
            lr_max=lr_to_proto(self.lr_max),
            cycle_mult=self.cycle_mult,
            callbacks=_callbacks(self.callbacks),
        )
        put_wd(fit, self.wd)
        return job_pb2.Stage(fit_sgdr=fit)


@dataclass(frozen=True)
class LrFind(_Stage):
    """A stage: a search for a learning rate, which leaves the learner as it was."""

    start_lr: Lr = 1e-7
    end_lr: Lr = 10.0
    num_it: int = 100
    stop_div: bool = True
    wd: Wd = None

    def to_proto(self) -> job_pb2.Stage:
        search = job_pb2.LrFind(
            start_lr=lr_to_proto(self.start_lr),
            end_lr=lr_to_proto(self.end_lr),
            num_it=self.num_it,
            stop_div=self.stop_div,
        )
        put_wd(search, self.wd)
        return job_pb2.Stage(lr_find=search)


@dataclass(frozen=True)
class FreezeTo(_Stage):
    """A stage: layer groups [0, n) are frozen. -1 freezes all but the head, 0 none."""

    n: int

    def to_proto(self) -> job_pb2.Stage:
        return job_pb2.Stage(freeze_to=job_pb2.FreezeTo(n=self.n))


Stage: TypeAlias = Fit | FitOneCycle | FitFlatCos | FitSgdr | LrFind | FreezeTo


def fine_tune_stages(
    epochs: int,
    base_lr: float = 2e-3,
    freeze_epochs: int = 1,
    lr_mult: float = 100.0,
    pct_start: float = 0.3,
    div: float = 5.0,
    wd: Wd = None,
    callbacks: Components = None,
) -> tuple[Stage, ...]:
    """fastai v2's `fine_tune`: the head for `freeze_epochs`, then everything with discriminative rates."""
    own, half = as_components(callbacks), base_lr / 2
    rates = slice(half / lr_mult, half)
    return (
        FreezeTo(-1),
        FitOneCycle(freeze_epochs, slice(base_lr), pct_start=0.99, final_div=1e5, wd=wd, callbacks=own),
        FreezeTo(0),
        FitOneCycle(epochs, rates, div_factor=div, pct_start=pct_start, final_div=1e5, wd=wd, callbacks=own),
    )


def _callbacks(callbacks: Sequence[Component]) -> list[learner_pb2.Component]:
    return [component_to_proto(callback) for callback in callbacks]


def put_wd(
    message: job_pb2.Fit
    | job_pb2.FitOneCycle
    | job_pb2.FitFlatCos
    | job_pb2.FitSgdr
    | job_pb2.LrFind
    | learner_pb2.Optimizer,
    wd: Wd,
) -> None:
    if isinstance(wd, int | float):
        message.wd = wd
    elif wd is not None:
        message.wd_per_group.extend(wd)


def lr_to_proto(lr: Lr) -> learner_pb2.LearningRate:
    """A number, `slice(stop)`, `slice(start, stop)`, or one number a layer group. Raises ValueError for others."""
    if isinstance(lr, slice):
        if lr.stop is None or lr.step is not None:
            raise ValueError(f"lr is {lr}; must be slice(stop) or slice(start, stop)")
        return learner_pb2.LearningRate(slice=learner_pb2.LearningRate.Slice(start=lr.start, stop=lr.stop))
    if isinstance(lr, int | float):
        return learner_pb2.LearningRate(value=lr)
    return learner_pb2.LearningRate(values=learner_pb2.LearningRate.Values(values=lr))
