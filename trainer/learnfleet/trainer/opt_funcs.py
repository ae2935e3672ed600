"""Which optimiser: those with names, and any class of torch.optim that a Python user gives."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import torch

from learnfleet.trainer.arguments import arguments_of, check_arguments
from learnfleet.trainer.errors import LearnerError

ParamGroups = list[dict[str, Any]]  # torch's own type of a parameter group
Make = Callable[[ParamGroups, bool], torch.optim.Optimizer]  # (groups, true_wd)
OptimizerClass = Callable[..., torch.optim.Optimizer]


@dataclass(frozen=True)
class OptFunc:
    """How the torch optimiser is made, and whether it decays weights apart from the gradient by itself."""

    name: str
    make: Make
    decouples: bool = False
    arguments: Mapping[str, Any] | None = field(default=None, compare=False)  # of a named one. None: it has no name


OptFuncLike = OptFunc | str | OptimizerClass  # as users give it: ready, by name, or a class of torch.optim


def _adam(beta1: float = 0.9, beta2: float = 0.99, eps: float = 1e-8, amsgrad: bool = False) -> OptFunc:
    def make(groups: ParamGroups, true_wd: bool) -> torch.optim.Optimizer:
        # Fused is one pass over the weights, and elementwise: the same bits on every run.
        cls = torch.optim.AdamW if true_wd else torch.optim.Adam
        return cls(groups, 0.0, (beta1, beta2), eps, 0.0, amsgrad, fused=True)

    return OptFunc("adam", make, decouples=True)


def _sgd(momentum: float = 0.0, dampening: float = 0.0, nesterov: bool = False) -> OptFunc:
    def make(groups: ParamGroups, true_wd: bool) -> torch.optim.Optimizer:
        return torch.optim.SGD(groups, 0.0, momentum, dampening, 0.0, nesterov, fused=True)

    return OptFunc("sgd", make)


def _rmsprop(alpha: float = 0.99, eps: float = 1e-8, momentum: float = 0.0, centered: bool = False) -> OptFunc:
    return _plain("rmsprop", torch.optim.RMSprop, alpha=alpha, eps=eps, momentum=momentum, centered=centered)


def _radam(beta1: float = 0.9, beta2: float = 0.99, eps: float = 1e-8) -> OptFunc:
    return _plain("radam", torch.optim.RAdam, betas=(beta1, beta2), eps=eps)


def _nadam(beta1: float = 0.9, beta2: float = 0.99, eps: float = 1e-8, momentum_decay: float = 4e-3) -> OptFunc:
    return _plain("nadam", torch.optim.NAdam, betas=(beta1, beta2), eps=eps, momentum_decay=momentum_decay)


def _adamax(beta1: float = 0.9, beta2: float = 0.99, eps: float = 1e-8) -> OptFunc:
    return _plain("adamax", torch.optim.Adamax, betas=(beta1, beta2), eps=eps)


def _adagrad(lr_decay: float = 0.0, initial_accumulator_value: float = 0.0, eps: float = 1e-10) -> OptFunc:
    start = initial_accumulator_value
    return _plain("adagrad", torch.optim.Adagrad, lr_decay=lr_decay, initial_accumulator_value=start, eps=eps)


def _adadelta(rho: float = 0.9, eps: float = 1e-6) -> OptFunc:
    return _plain("adadelta", torch.optim.Adadelta, rho=rho, eps=eps)


def _plain(name: str, cls: OptimizerClass, **options: float | bool | tuple[float, float]) -> OptFunc:
    """Of torch, many parameters at a time (`foreach`), which is elementwise, too."""
    return OptFunc(name, lambda groups, true_wd: cls(groups, lr=0.0, weight_decay=0.0, foreach=True, **options))


_NAMED: dict[str, Callable[..., OptFunc]] = {
    "adadelta": _adadelta,
    "adagrad": _adagrad,
    "adam": _adam,
    "adamax": _adamax,
    "nadam": _nadam,
    "radam": _radam,
    "rmsprop": _rmsprop,
    "sgd": _sgd,
}
OPT_FUNCS = {name: replace(make(), arguments={}) for name, make in _NAMED.items()}
Adam, SGD, RMSprop, RAdam = (OPT_FUNCS[name] for name in ("adam", "sgd", "rmsprop", "radam"))


def describe_opt_funcs() -> dict[str, list[dict[str, Any]]]:
    """The arguments of each named optimiser, as JSON-able data. `adam` decays as AdamW does under `true_wd`."""
    return {name: [item.describe() for item in arguments_of(make).values()] for name, make in _NAMED.items()}


def build_opt_func(name: str, arguments: Mapping[str, Any] | None = None) -> OptFunc:
    """A named optimiser with its arguments. Raises LearnerError for a name or argument that is not known."""
    if name not in _NAMED:
        raise LearnerError("optimizer.name", f"{name!r} is unknown; known: {', '.join(_NAMED)}")
    if not arguments:
        return OPT_FUNCS[name]
    checked = check_arguments(f"optimizer.{name}", _NAMED[name], arguments)
    return replace(_NAMED[name](**checked), arguments=checked)


def as_opt_func(given: OptFuncLike) -> OptFunc:
    """What a user gives, ready: a name, or a torch class as in `partial(optim.SGD, momentum=0.9)`."""
    if isinstance(given, OptFunc):
        return given
    return build_opt_func(given) if isinstance(given, str) else _of_class(given)


def _of_class(cls: OptimizerClass) -> OptFunc:
    inner = cls.func if isinstance(cls, partial) else cls
    name = str(getattr(inner, "__name__", type(inner).__name__))
    if _needs_closure(inner):
        raise LearnerError("opt_func", f"{name} evaluates the loss several times a step, which this loop does not do")

    def make(groups: ParamGroups, true_wd: bool) -> torch.optim.Optimizer:
        try:
            return cls(groups, lr=0.0)
        except (TypeError, ValueError) as error:
            raise LearnerError("opt_func", f"{name} does not take these parameters: {error}") from error

    return OptFunc(name, make)


def _needs_closure(cls: object) -> bool:
    step = getattr(cls, "step", None)
    closure = inspect.signature(step).parameters.get("closure") if callable(step) else None
    return closure is not None and closure.default is closure.empty
