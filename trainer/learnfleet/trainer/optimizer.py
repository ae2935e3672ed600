"""The optimiser over layer groups: learning rates per group, decoupled weight decay, state by parameter name."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from numbers import Real
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.layer_groups import LayerGroup, NamedParameter
from learnfleet.trainer.opt_funcs import Adam, OptFunc, ParamGroups
from learnfleet.trainer.param_groups import merged_groups, read_option, write_option

Lr = float | Sequence[float] | slice | np.ndarray[Any, Any]
PerGroup = float | Sequence[float]  # one value, or one a layer group
DEFAULT_LR = slice(3e-3)
_NOT_HYPER = ("params", "lr", "weight_decay", "decay", "momentum", "betas", "alpha", "initial_lr")


def lr_range(lr: Lr, n_groups: int) -> list[float]:
    """Learning rates of `n_groups` layer groups (fastai `lr_range`).

    A number goes to all groups; slice(stop): the last gets stop, the others stop / 10; slice(start, stop): geometric
    from start to stop, and stop where there is one group; a list or array is one value, or one a group.
    """
    return _per_group("lr", _of_slice(lr, n_groups) if isinstance(lr, slice) else lr, n_groups)


def _of_slice(lr: slice, n_groups: int) -> list[float]:
    if lr.stop is None:
        raise LearnerError("lr", "a slice needs its stop, as in slice(1e-5, 1e-3) or slice(1e-3)")
    if lr.stop < 0 or (lr.start or 0) < 0:
        raise LearnerError("lr", f"{lr!r} is not possible: rates are 0 or more")
    if not lr.start:
        return [lr.stop / 10] * (n_groups - 1) + [float(lr.stop)]
    if n_groups == 1:
        return [float(lr.stop)]  # fastai v1 divided by zero
    ratio = (lr.stop / lr.start) ** (1 / (n_groups - 1))
    return [float(lr.start * ratio**index) for index in range(n_groups)]


def _per_group(name: str, values: PerGroup | np.ndarray[Any, Any], n_groups: int) -> list[float]:
    try:
        is_one = isinstance(values, Real) or np.ndim(values) == 0  # a 0-d array is a number, too
        items = [float(value) for value in ([values] if is_one else values)]  # type: ignore[union-attr, arg-type]
    except (TypeError, ValueError) as error:
        raise LearnerError(name, f"{values!r} is no number, and no list of one a layer group") from error
    if not all(math.isfinite(item) and item >= 0 for item in items):
        raise LearnerError(name, f"{values!r} is not possible: rates are 0 or more")
    if len(items) not in (1, n_groups):
        raise LearnerError(name, f"{len(items)} values for {n_groups} layer groups; give one, or one a group")
    return items * (n_groups // len(items))


class LayerOptimizer:
    """A torch optimiser with two parameter groups a layer group: one that decays, one of BatchNorm and biases.

    Only parameters that are trainable now are in it; freezing or unfreezing makes a new one.

    `lr`, `mom`, `beta` and `wd` read the value of the last layer group, and take one value or one a layer group. `mom`
    is SGD's momentum or Adam's first beta, `beta` is Adam's second, or alpha of RMSprop.
    """

    def __init__(
        self,
        layer_groups: Sequence[LayerGroup],
        opt_func: OptFunc = Adam,
        *,
        true_wd: bool = True,
        bn_wd: bool = True,
    ) -> None:
        self.opt_func, self.true_wd, self.bn_wd = opt_func, true_wd, bn_wd
        self.n_layer_groups = len(layer_groups)
        self._parameters: dict[str, nn.Parameter] = {}
        self._seen: set[int] = set()
        pairs = [self._split(group) for group in layer_groups]
        self.inner = opt_func.make([{"params": params} for pair in pairs for params in pair], true_wd)
        # torch's own keep all state by parameter, and nothing in a group that a step may change.
        self._merges = type(self.inner).__module__.startswith("torch.optim.")
        self._own_decay = true_wd and not opt_func.decouples
        self._wd = [0.0] * self.n_layer_groups
        self.set_wd(0.0)

    def _split(self, group: LayerGroup) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
        items = [item for item in group.parameters() if self._is_new(item)]
        self._parameters.update((item.name, item.parameter) for item in items)
        return [i.parameter for i in items if i.decays], [i.parameter for i in items if not i.decays]

    def _is_new(self, item: NamedParameter) -> bool:
        is_new = item.parameter.requires_grad and id(item.parameter) not in self._seen
        self._seen.add(id(item.parameter))
        return is_new

    @property
    def param_groups(self) -> ParamGroups:
        return self.inner.param_groups

    def parameters(self) -> list[nn.Parameter]:
        """What it trains."""
        return list(self._parameters.values())

    def named_parameters(self) -> dict[str, nn.Parameter]:
        """What it trains, by the names in the model."""
        return dict(self._parameters)

    # --- hyper-parameters

    @property
    def lr(self) -> float:
        return float(self.param_groups[-1]["lr"])

    @lr.setter
    def lr(self, values: PerGroup) -> None:
        self.set_lr(values)

    @property
    def mom(self) -> float:
        """0 where the optimiser has no momentum."""
        return read_option(self.param_groups[-1], "mom")

    @mom.setter
    def mom(self, values: PerGroup) -> None:
        self.set_mom(values)

    @property
    def beta(self) -> float:
        return self.get_stat("beta")

    @beta.setter
    def beta(self, values: PerGroup) -> None:
        self.set_stat("beta", values)

    @property
    def wd(self) -> float:
        return self._wd[-1]

    @wd.setter
    def wd(self, values: PerGroup) -> None:
        self.set_wd(values)

    def set_lr(self, lr: PerGroup) -> None:
        for index, value in enumerate(_per_group("lr", lr, self.n_layer_groups)):
            for group in self._pair(index):
                group["lr"] = value

    def set_mom(self, mom: PerGroup) -> None:
        """Nothing happens where the optimiser has no momentum, so that one schedule suits all."""
        if "betas" in self.inner.defaults or "momentum" in self.inner.defaults:
            self._put("mom", mom)
            self._fill_buffers()

    def _fill_buffers(self) -> None:
        """torch's RMSprop makes its momentum buffers in its first step, and only where there is momentum then."""
        for group in self.param_groups:
            if "centered" not in group or not group["momentum"]:
                continue
            states = ((parameter, self.inner.state.get(parameter)) for parameter in group["params"])
            for parameter, state in states:
                if state and "momentum_buffer" not in state:
                    state["momentum_buffer"] = torch.zeros_like(parameter)

    def set_wd(self, wd: PerGroup) -> None:
        """BatchNorm and biases take part under `bn_wd`."""
        self._wd = _per_group("wd", wd, self.n_layer_groups)
        knows_decay = "weight_decay" in self.inner.defaults
        if any(self._wd) and not self._own_decay and not knows_decay:
            raise LearnerError("wd", f"{self.opt_func.name} has no weight decay of its own: set true_wd, or wd=0")
        for index, value in enumerate(self._wd):
            decay, no_decay = self._pair(index)
            decay["decay"], no_decay["decay"] = value, value if self.bn_wd else 0.0
            for group in (decay, no_decay) if knows_decay else ():
                group["weight_decay"] = 0.0 if self._own_decay else group["decay"]

    def stat_names(self) -> list[str]:
        """What `get_stat` and `set_stat` know: lr, mom, wd, beta and the numbers among the optimiser's own options."""
        options = self.inner.defaults
        named = {"mom": ("betas", "momentum"), "beta": ("betas", "alpha")}
        present = [name for name, keys in named.items() if any(key in options for key in keys)]
        own = [key for key, value in options.items() if key not in _NOT_HYPER and type(value) in (int, float)]
        return ["lr", "wd", *present, *own]

    def get_stat(self, name: str) -> float:
        """A hyper-parameter of the last layer group."""
        self._check(name)
        return self.wd if name == "wd" else read_option(self.param_groups[-1], name)

    def set_stat(self, name: str, values: PerGroup) -> None:
        """Set a hyper-parameter: one value, or one a layer group. Raises LearnerError for a name it does not have."""
        if name == "lr":
            self.set_lr(values)
        elif name == "mom":
            self.set_mom(values)
        elif name == "wd":
            self.set_wd(values)
        else:
            self._check(name)
            self._put(name, values)

    def _check(self, name: str) -> None:
        if name not in self.stat_names():
            known = ", ".join(self.stat_names())
            raise LearnerError(name, f"the optimiser {self.opt_func.name} has no {name!r}; known: {known}")

    def _put(self, name: str, values: PerGroup) -> None:
        for index, value in enumerate(_per_group(name, values, self.n_layer_groups)):
            for group in self._pair(index):
                write_option(group, name, value)

    def _pair(self, index: int) -> ParamGroups:
        return self.param_groups[2 * index : 2 * index + 2]

    # --- stepping

    def step(self) -> None:
        """One update of every parameter that has a gradient, after its decay by `1 - wd * lr` under `true_wd`."""
        if self._own_decay:
            self._decay()
        own = self.inner.param_groups
        if self._merges:
            self.inner.param_groups = merged_groups(own)
        try:
            self.inner.step()
        finally:
            self.inner.param_groups = own

    @torch.no_grad()
    def _decay(self) -> None:
        for group in self.param_groups:
            params = [param for param in group["params"] if param.grad is not None]
            if params and group.get("decay"):
                torch._foreach_mul_(params, 1 - group["decay"] * group["lr"])

    def zero_grad(self) -> None:
        # Not by the inner optimiser's own, which opens a profiler's scope each time: most of a small model's step.
        for parameter in self._parameters.values():
            parameter.grad = None

    def clear(self) -> None:
        """Forget all moments."""
        self.inner.state.clear()

    # --- state

    def tensors(self) -> dict[str, Tensor]:
        """The optimiser's state by `<what>/<parameter name>`, as live tensors; a plain number as `<what>!/<name>`."""
        return {
            f"{what}/{name}" if isinstance(value, Tensor) else f"{what}!/{name}": _as_tensor(value)
            for name, parameter in self._parameters.items()
            for what, value in self.inner.state.get(parameter, {}).items()
            if isinstance(value, Tensor | int | float)
        }

    def load_tensors(self, tensors: dict[str, Tensor]) -> None:
        """Take over state saved by `tensors`. Raises ValueError when it is of other parameters."""
        unknown = sorted({key.partition("/")[2] for key in tensors} - set(self._parameters))
        if unknown:
            raise ValueError(
                f"the optimiser state is of other trainable parameters ({', '.join(unknown[:3])}, …): freeze or"
                " unfreeze the model as it was when it was saved"
            )
        self.clear()
        for key, value in tensors.items():
            what, _, name = key.partition("/")
            state = self.inner.state[self._parameters[name]]
            if what.endswith("!"):
                state[what[:-1]] = value.item()
            else:
                state[what] = _like(self._parameters[name], value)

    def hyper_parameters(self) -> dict[str, list[float]]:
        """Every hyper-parameter as plain data, one value a layer group."""
        firsts = [self._pair(index)[0] for index in range(self.n_layer_groups)]
        names = [name for name in self.stat_names() if name != "wd"]
        return {"wd": list(self._wd), **{name: [read_option(group, name) for group in firsts] for name in names}}

    def load_hyper_parameters(self, values: dict[str, list[float]]) -> None:
        for name, value in values.items():
            self.set_stat(name, value)


def _as_tensor(value: Tensor | float) -> Tensor:
    """A plain number with all its digits."""
    return torch.tensor(value, dtype=torch.float64) if isinstance(value, float) else torch.as_tensor(value)


def _like(parameter: nn.Parameter, value: Tensor) -> Tensor:
    """A copy on the parameter's device; of its memory layout when it has its shape."""
    if value.shape != parameter.shape:
        return value.to(parameter.device, copy=True)
    return torch.empty_like(parameter, dtype=value.dtype, requires_grad=False).copy_(value)


def count_parameters(parameters: Iterable[nn.Parameter]) -> int:
    return sum(parameter.numel() for parameter in parameters)
