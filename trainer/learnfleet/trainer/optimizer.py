"""The optimiser over layer groups: learning rates per group, decoupled weight decay, state by parameter name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from learnfleet.trainer.layer_groups import LayerGroup, NamedParameter

Lr = float | Sequence[float] | slice
ParamGroups = list[dict[str, Any]]  # torch's own type of a parameter group
DEFAULT_LR = slice(3e-3)


@dataclass(frozen=True)
class OptFunc:
    """How the torch optimiser is made, and whether it decays weights apart from the gradient by itself."""

    name: str
    make: Callable[[ParamGroups, bool], torch.optim.Optimizer]  # (groups, true_wd)
    decouples: bool = False


def _make_adam(groups: ParamGroups, true_wd: bool) -> torch.optim.Optimizer:
    # Fused is one pass over the weights, and elementwise: the same bits on every run.
    cls = torch.optim.AdamW if true_wd else torch.optim.Adam
    return cls(groups, lr=0.0, betas=(0.9, 0.99), weight_decay=0.0, fused=True)


def _make_sgd(groups: ParamGroups, true_wd: bool) -> torch.optim.Optimizer:
    return torch.optim.SGD(groups, lr=0.0, momentum=0.0, weight_decay=0.0, fused=True)


Adam = OptFunc("adam", _make_adam, decouples=True)
SGD = OptFunc("sgd", _make_sgd)
OPT_FUNCS = {func.name: func for func in (Adam, SGD)}


def lr_range(lr: Lr, n_groups: int) -> list[float]:
    """Learning rates of `n_groups` layer groups (fastai `lr_range`).

    A number goes to all groups; slice(stop): the last gets stop, the others stop / 10; slice(start, stop): geometric
    from start to stop, and stop where there is one group; a sequence is one value a group.
    """
    if isinstance(lr, int | float):
        return [float(lr)] * n_groups
    if not isinstance(lr, slice):
        return [float(value) for value in _per_group("lr", lr, n_groups)]
    if lr.stop is None:
        raise ValueError("lr: a slice needs its stop, as in slice(1e-5, 1e-3) or slice(1e-3)")
    if not lr.start:
        return [lr.stop / 10] * (n_groups - 1) + [float(lr.stop)]
    if n_groups == 1:
        return [float(lr.stop)]
    ratio = (lr.stop / lr.start) ** (1 / (n_groups - 1))
    return [float(lr.start * ratio**index) for index in range(n_groups)]


def _per_group(name: str, values: float | Sequence[float], n_groups: int) -> list[float]:
    if isinstance(values, int | float):
        return [float(values)] * n_groups
    if len(values) not in (1, n_groups):
        raise ValueError(f"{name}: {len(values)} values for {n_groups} layer groups; give one, or one a group")
    return [float(value) for value in values] * (n_groups // len(values))


class LayerOptimizer:
    """A torch optimiser with two parameter groups a layer group: one that decays, one of BatchNorm and biases.

    Only parameters that are trainable now are in it; freezing or unfreezing makes a new one.
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
        pairs = [self._split(group) for group in layer_groups]
        self.inner = opt_func.make([{"params": params} for pair in pairs for params in pair], true_wd)
        self._momentum_key = "betas" if "betas" in self.inner.defaults else "momentum"
        self._own_decay = true_wd and not opt_func.decouples
        self._wd = [0.0] * self.n_layer_groups

    def _split(self, group: LayerGroup) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
        items = [item for item in group.parameters() if self._is_new(item)]
        self._parameters.update((item.name, item.parameter) for item in items)
        return [i.parameter for i in items if i.decays], [i.parameter for i in items if not i.decays]

    def _is_new(self, item: NamedParameter) -> bool:
        return item.parameter.requires_grad and not any(item.parameter is seen for seen in self._parameters.values())

    @property
    def param_groups(self) -> ParamGroups:
        return self.inner.param_groups

    @property
    def lr(self) -> float:
        """Learning rate of the last layer group."""
        return float(self.param_groups[-1]["lr"])

    @property
    def mom(self) -> float:
        """Momentum of the last layer group: Adam's first beta, or SGD's momentum."""
        value = self.param_groups[-1][self._momentum_key]
        return float(value[0] if isinstance(value, tuple) else value)

    @property
    def wd(self) -> float:
        """Weight decay of the last layer group."""
        return self._wd[-1]

    def set_lr(self, lr: float | Sequence[float]) -> None:
        """One learning rate, or one a layer group."""
        for index, value in enumerate(_per_group("lr", lr, self.n_layer_groups)):
            for group in self._pair(index):
                group["lr"] = value

    def set_mom(self, mom: float) -> None:
        for group in self.param_groups:
            beta = group.get("betas")
            group[self._momentum_key] = (mom, beta[1]) if beta else mom

    def set_wd(self, wd: float | Sequence[float]) -> None:
        """One weight decay, or one a layer group. BatchNorm and biases take part under `bn_wd`."""
        self._wd = _per_group("wd", wd, self.n_layer_groups)
        for index, value in enumerate(self._wd):
            decay, no_decay = self._pair(index)
            decay["decay"], no_decay["decay"] = value, value if self.bn_wd else 0.0
            for group in (decay, no_decay):
                group["weight_decay"] = 0.0 if self._own_decay else group["decay"]

    def _pair(self, index: int) -> ParamGroups:
        return self.param_groups[2 * index : 2 * index + 2]

    def step(self) -> None:
        """One update of every parameter that has a gradient, after its decay by `1 - wd * lr` under `true_wd`."""
        if self._own_decay:
            self._decay()
        self.inner.step()

    @torch.no_grad()
    def _decay(self) -> None:
        for group in self.param_groups:
            params = [param for param in group["params"] if param.grad is not None]
            if params and group.get("decay"):
                torch._foreach_mul_(params, 1 - group["decay"] * group["lr"])

    def zero_grad(self) -> None:
        self.inner.zero_grad(set_to_none=True)

    def tensors(self) -> dict[str, Tensor]:
        """The optimiser's state by `<what>/<parameter name>`, as live tensors."""
        return {
            f"{what}/{name}": value
            for name, parameter in self._parameters.items()
            for what, value in self.inner.state.get(parameter, {}).items()
            if isinstance(value, Tensor)
        }

    def load_tensors(self, tensors: dict[str, Tensor]) -> None:
        """Take over state saved by `tensors`. Raises ValueError when it is of other parameters."""
        unknown = sorted({key.partition("/")[2] for key in tensors} - set(self._parameters))
        if unknown:
            raise ValueError(
                f"the optimiser state is of other trainable parameters ({', '.join(unknown[:3])}, …): freeze or"
                " unfreeze the model as it was when it was saved"
            )
        self.inner.state.clear()
        for key, value in tensors.items():
            what, _, name = key.partition("/")
            self.inner.state[self._parameters[name]][what] = _like(self._parameters[name], value)

    def hyper_parameters(self) -> dict[str, list[float]]:
        """lr, mom and wd as plain data: lr and wd one value a layer group, mom one value."""
        lrs = [float(self._pair(index)[0]["lr"]) for index in range(self.n_layer_groups)]
        return {"lr": lrs, "mom": [self.mom], "wd": list(self._wd)}

    def load_hyper_parameters(self, values: dict[str, list[float]]) -> None:
        self.set_lr(values["lr"])
        self.set_mom(values["mom"][0])
        self.set_wd(values["wd"])


def _like(parameter: nn.Parameter, value: Tensor) -> Tensor:
    """A copy on the parameter's device; of its memory layout when it has its shape."""
    if value.shape != parameter.shape:
        return value.to(parameter.device, copy=True)
    return torch.empty_like(parameter, dtype=value.dtype, requires_grad=False).copy_(value)


def count_parameters(parameters: Iterable[nn.Parameter]) -> int:
    return sum(parameter.numel() for parameter in parameters)
