"""Metrics on raw model outputs: functions, averaged by batch size, and the registry of names.

A metric is kept as sums, because ranks and batches differ in size and only sums may be added over them.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.spec_base import Component

ENTRY_POINT_GROUP = "learnfleet.metrics"

MetricFunction = Callable[[Tensor, Tensor], Tensor | float]


@runtime_checkable
class Metric(Protocol):
    """Something measured over a whole data set, as sums that can be added over batches and ranks."""

    @property
    def name(self) -> str: ...

    def reset(self) -> None:
        """Before the first batch."""

    def update(self, output: Tensor, target: Tensor) -> None:
        """Take note of one batch of raw outputs [N, ...] and targets [N]."""

    def sums(self) -> Tensor:
        """What has been noted so far, float64 on the CPU, of the same shape on every rank."""
        ...

    def value(self, sums: Tensor) -> float:
        """The metric from the sums added over all ranks (flattened)."""
        ...


class AverageMetric:
    """The mean of a function over examples: each batch's value counts by its size."""

    def __init__(self, function: MetricFunction, name: str | None = None) -> None:
        inner = function.func if isinstance(function, partial) else function
        self._function = function
        self._name = name or str(getattr(inner, "__name__", type(inner).__name__))
        self.reset()

    @property
    def name(self) -> str:
        return self._name

    @property
    def function(self) -> MetricFunction:
        return self._function

    def reset(self) -> None:
        self._total: Tensor | float = 0.0
        self._count = 0

    def update(self, output: Tensor, target: Tensor) -> None:
        value = self._function(output, target)
        value = value.detach().double() if isinstance(value, Tensor) else value
        self._total = self._total + value * len(target)  # stays on the device: no wait for the GPU here
        self._count += len(target)

    def sums(self) -> Tensor:
        return torch.tensor([float(self._total), self._count], dtype=torch.float64)

    def value(self, sums: Tensor) -> float:
        return float(sums[0] / sums[1]) if sums[1] else float("nan")


def accuracy(output: Tensor, target: Tensor) -> Tensor:
    """Share of rows whose greatest output [..., C] is at the target's class."""
    return (output.argmax(dim=-1) == target).double().mean()


def error_rate(output: Tensor, target: Tensor) -> Tensor:
    """1 - accuracy."""
    return 1 - accuracy(output, target)


def top_k_accuracy(output: Tensor, target: Tensor, k: int = 5) -> Tensor:
    """Share of rows with the target's class among the k greatest outputs; k is limited to the number of classes."""
    best = output.topk(min(k, output.shape[-1]), dim=-1).indices
    return (best == target.unsqueeze(-1)).any(dim=-1).double().mean()


_BUILT_IN: dict[str, Callable[..., Tensor | float]] = {
    function.__name__: function for function in (accuracy, error_rate, top_k_accuracy)
}


def _plugins() -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group=ENTRY_POINT_GROUP)}


def available_metrics() -> dict[str, list[dict[str, Any]]]:
    """Each metric's arguments: name, type ("int", "float", "bool" or "str") and default, as JSON-able data."""
    found: Mapping[str, Any] = {**{name: entry.load() for name, entry in _plugins().items()}, **_BUILT_IN}
    return {name: describe_arguments(item) for name, item in sorted(found.items())}


def describe_arguments(function: Callable[..., object]) -> list[dict[str, Any]]:
    """The arguments with defaults of a function, or of a class's constructor: those a user may set."""
    parameters = inspect.signature(function).parameters.values()
    return [
        {"name": item.name, "type": type(item.default).__name__, "default": item.default}
        for item in parameters
        if item.default is not inspect.Parameter.empty and type(item.default) in (int, float, bool, str)
    ]


def build_metric(name: str, arguments: Mapping[str, Any] | None = None) -> Metric:
    """A registered metric with its arguments. Raises LearnerError for a name or argument that is not known."""
    known = _BUILT_IN.get(name) or (_plugins()[name].load() if name in _plugins() else None)
    if known is None:
        raise LearnerError("metrics", f"there is no metric {name!r}; known: {', '.join(available_metrics())}")
    checked = check_arguments(f"metrics.{name}", known, arguments or {})
    if inspect.isclass(known):
        metric = known(**checked)
        assert isinstance(metric, Metric)
        return metric
    return AverageMetric(partial(known, **checked), name)


def describe_metric(metric: Metric) -> Component | None:
    """A metric as `build_metric` makes it again; None for one that no name leads to."""
    function: object = metric.function if isinstance(metric, AverageMetric) else type(metric)
    given: Mapping[str, Any] = vars(metric)
    if isinstance(metric, AverageMetric) and isinstance(metric.function, partial):
        function, given = metric.function.func, metric.function.keywords
    found: Mapping[str, Any] = {**{name: entry.load() for name, entry in _plugins().items()}, **_BUILT_IN}
    name = next((name for name, known in found.items() if known is function), None)
    if name is None:
        return None
    described = describe_arguments(found[name])
    arguments = {item["name"]: given[item["name"]] for item in described if item["name"] in given}
    defaults = {item["name"]: item["default"] for item in described}
    return Component(name, {key: value for key, value in arguments.items() if value != defaults[key]})


def check_arguments(field: str, function: Callable[..., object], arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of the registered types: a whole float is taken for an int, as JSON and Struct know only numbers."""
    described = {item["name"]: item for item in describe_arguments(function)}
    checked = {}
    for name, value in arguments.items():
        if name not in described:
            raise LearnerError(field, f"there is no argument {name!r}; known: {', '.join(described) or 'none'}")
        checked[name] = _cast(f"{field}.{name}", value, described[name]["type"])
    return checked


def _cast(field: str, value: Any, wanted: str) -> Any:
    if wanted == "int" and isinstance(value, float) and value.is_integer():
        return int(value)
    if wanted == "float" and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if type(value).__name__ != wanted:
        raise LearnerError(field, f"{value!r} is of type {type(value).__name__}, not {wanted}")
    return value


def as_metrics(metrics: object) -> list[Metric]:
    """Metrics as users give them (None, one, or several; names, functions or Metric objects)."""
    if metrics is None:
        return []
    items = metrics if isinstance(metrics, Iterable) and not isinstance(metrics, str) else [metrics]
    return [_as_metric(item) for item in items]


def _as_metric(item: object) -> Metric:
    if isinstance(item, str):
        return build_metric(item)
    if isinstance(item, Metric):
        return item
    if callable(item):
        return AverageMetric(item)
    raise LearnerError("metrics", f"{item!r} is neither a name, a function of (output, target), nor a Metric")
