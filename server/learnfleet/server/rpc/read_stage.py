"""Stages from protobuf, with everything that is wrong with them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Literal, TypeAlias

from learnfleet.server.rpc.read_component import Names, read_components
from learnfleet.server.rpc.read_spec import read_wd
from learnfleet.server.rpc.violations import Violations
from learnfleet.trainer.spec_base import Component
from learnfleet.trainer.stage_spec import (
    FitFlatCosStage,
    FitOneCycleStage,
    FitSgdrStage,
    FitStage,
    FreezeStage,
    LearningRate,
    LrFindStage,
    Stage,
    WeightDecay,
)
from learnfleet.v1 import job_pb2 as pb
from learnfleet.v1 import learner_pb2

_MAX_STAGES = 100
_MAX_GROUPS = 1000
MOST_GROUPS = 100  # that may be frozen
_MAX_EPOCHS = 10_000
_MAX_LR = 1e3
_MAX_FACTOR = 1e12
_MAX_SEARCH = 100_000
_CURVES: tuple[Literal["cosine", "linear", "exponential"], ...] = ("cosine", "linear", "exponential")

_Fitting: TypeAlias = pb.Fit | pb.FitOneCycle | pb.FitFlatCos | pb.FitSgdr


def read_stages(messages: Sequence[pb.Stage], found: Violations, names: Names) -> tuple[Stage, ...]:
    """The stages that could be read; for the others `found` has violations."""
    if not found.check(
        0 < len(messages) <= _MAX_STAGES, "stages", f"has {len(messages)}; must have 1 to {_MAX_STAGES}"
    ):
        return ()
    read = [_read_stage(message, f"stages[{index}]", found, names) for index, message in enumerate(messages)]
    return tuple(stage for stage in read if stage is not None)


def _read_stage(message: pb.Stage, field: str, found: Violations, names: Names) -> Stage | None:
    action = message.WhichOneof("action")
    if action == "freeze":
        return FreezeStage(-1)
    if action == "unfreeze":
        return FreezeStage(0)
    if action == "freeze_to":
        found.number(f"{field}.freeze_to.n", message.freeze_to.n, -MOST_GROUPS, MOST_GROUPS)
        return FreezeStage(message.freeze_to.n)
    if action is None:
        found.add(field, f"is empty; must be one of {', '.join(_ACTIONS)}")
        return None
    return _READERS[action](getattr(message, action), f"{field}.{action}", found, names)


def _read_fit(message: pb.Fit, field: str, found: Violations, names: Names) -> FitStage:
    found.number(f"{field}.epochs", message.epochs, 1, _MAX_EPOCHS)
    lr = _read_lr(message, "lr", field, found)
    return FitStage(message.epochs, lr, *_read_common(message, field, found, names))


def _read_one_cycle(message: pb.FitOneCycle, field: str, found: Violations, names: Names) -> FitOneCycleStage:
    found.number(f"{field}.epochs", message.epochs, 1, _MAX_EPOCHS)
    div_factor = message.div_factor if message.HasField("div_factor") else 25.0
    pct_start = message.pct_start if message.HasField("pct_start") else 0.3
    final_div = message.final_div if message.HasField("final_div") else None
    found.number(f"{field}.div_factor", div_factor, 1, _MAX_FACTOR)
    found.number(f"{field}.pct_start", pct_start, 0, 1, open_ends=True)
    if final_div is not None:
        found.number(f"{field}.final_div", final_div, 1, _MAX_FACTOR)
    total = message.tot_epochs if message.HasField("tot_epochs") else None
    start = message.start_epoch if message.HasField("start_epoch") else None
    if total is not None:
        found.number(f"{field}.tot_epochs", total, 1, _MAX_EPOCHS)
    if start is not None:
        found.number(f"{field}.start_epoch", start, 0, (total or message.epochs) - 1)
    wd, callbacks = _read_common(message, field, found, names)
    return FitOneCycleStage(
        message.epochs,
        _read_lr(message, "max_lr", field, found),
        _read_moms(message.moms, field, found),
        div_factor,
        pct_start,
        final_div,
        wd,
        callbacks,
        total,
        start,
    )


def _read_flat_cos(message: pb.FitFlatCos, field: str, found: Violations, names: Names) -> FitFlatCosStage:
    found.number(f"{field}.epochs", message.epochs, 1, _MAX_EPOCHS)
    start_pct = message.start_pct if message.HasField("start_pct") else 0.72
    found.number(f"{field}.start_pct", start_pct, 0, 1, open_ends=True)
    curve = next((curve for curve in _CURVES if curve == (message.curve or "cosine")), None)
    found.check(curve is not None, f"{field}.curve", f"'{message.curve[:40]}' must be one of {', '.join(_CURVES)}")
    wd, callbacks = _read_common(message, field, found, names)
    lr, moms = _read_lr(message, "lr", field, found), _read_moms(message.moms, field, found)
    return FitFlatCosStage(message.epochs, lr, moms, start_pct, wd, callbacks, curve or "cosine")


def _read_sgdr(message: pb.FitSgdr, field: str, found: Violations, names: Names) -> FitSgdrStage:
    found.number(f"{field}.n_cycles", message.n_cycles, 1, 30)
    found.number(f"{field}.cycle_len", message.cycle_len, 1, _MAX_EPOCHS)
    found.number(f"{field}.cycle_mult", message.cycle_mult, 0, 10)
    lr = _read_lr(message, "lr_max", field, found)
    common = _read_common(message, field, found, names)
    return FitSgdrStage(message.n_cycles, message.cycle_len, lr, message.cycle_mult or 2, *common)


def _read_lr_find(message: pb.LrFind, field: str, found: Violations, names: Names) -> LrFindStage:
    start = _read_lr(message, "start_lr", field, found, LearningRate(value=1e-7))
    end = _read_lr(message, "end_lr", field, found, LearningRate(value=10.0))
    steps = message.num_it or 100
    found.number(f"{field}.num_it", steps, 2, _MAX_SEARCH)
    stop_div = message.stop_div if message.HasField("stop_div") else True
    return LrFindStage(start, end, steps, stop_div, _read_own_wd(message, field, found))


_READERS: dict[str, Callable[[Any, str, Violations, Names], Stage]] = {
    "fit": _read_fit,
    "fit_one_cycle": _read_one_cycle,
    "fit_flat_cos": _read_flat_cos,
    "fit_sgdr": _read_sgdr,
    "lr_find": _read_lr_find,
}
_ACTIONS = (*_READERS, "freeze", "unfreeze", "freeze_to")


def _read_common(
    message: _Fitting, field: str, found: Violations, names: Names
) -> tuple[WeightDecay, tuple[Component, ...]]:
    callbacks = read_components(message.callbacks, f"{field}.callbacks", found, names.callbacks, "callback")
    return _read_own_wd(message, field, found), callbacks


def _read_own_wd(message: _Fitting | pb.LrFind, field: str, found: Violations) -> WeightDecay:
    if not message.HasField("wd") and not message.wd_per_group:
        return None
    return read_wd(message.wd, message.wd_per_group, field, found)


def _read_moms(given: Sequence[float], field: str, found: Violations) -> tuple[float, ...]:
    moms = tuple(given) or (0.95, 0.85)
    found.check(len(moms) == 2, f"{field}.moms", f"has {len(moms)} values; must have 2: at the start and at the peak")
    for index, momentum in enumerate(moms[:2]):
        is_right = 0 <= momentum < 1
        found.check(is_right, f"{field}.moms[{index}]", f"is {momentum:g}; must be at least 0 and less than 1")
    return moms


def _read_lr(
    message: _Fitting | pb.LrFind, name: str, field: str, found: Violations, default: LearningRate | None = None
) -> LearningRate:
    if not message.HasField(name):
        return default or LearningRate(stop=3e-3)
    return _read_rate(getattr(message, name), f"{field}.{name}", found)


def _read_rate(message: learner_pb2.LearningRate, field: str, found: Violations) -> LearningRate:
    form = message.WhichOneof("form")
    if form == "value":
        _check_rate(message.value, f"{field}.value", found)
        return LearningRate(value=message.value)
    if form == "slice":
        start = message.slice.start if message.slice.HasField("start") else None
        if start is not None:
            _check_rate(start, f"{field}.slice.start", found)
        _check_rate(message.slice.stop, f"{field}.slice.stop", found)
        return LearningRate(start=start, stop=message.slice.stop)
    if form == "values":
        values = tuple(message.values.values)
        found.check(bool(values), f"{field}.values", "is empty; must have one value a layer group")
        found.length(f"{field}.values.values", len(values), _MAX_GROUPS)
        for index, value in enumerate(values[:_MAX_GROUPS]):
            _check_rate(value, f"{field}.values.values[{index}]", found)
        return LearningRate(values=values)
    found.add(field, "is empty; must be a value, a slice, or values")
    return LearningRate(stop=3e-3)


def _check_rate(value: float, field: str, found: Violations) -> None:
    is_right = math.isfinite(value) and 0 < value <= _MAX_LR
    found.check(is_right, field, f"is {value:g}; a learning rate must be greater than 0 and at most {_MAX_LR:g}")
