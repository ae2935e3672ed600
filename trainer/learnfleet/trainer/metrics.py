"""Metrics on raw model outputs: functions, averaged by batch size, and the registry of names.

A metric is kept as sums, because ranks and batches differ in size and only sums may be added over them.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from numbers import Real
from typing import TYPE_CHECKING, Any, Protocol, TypeGuard, runtime_checkable

import torch
from torch import Tensor

from learnfleet.trainer.arguments import check_arguments, describe_arguments
from learnfleet.trainer.batch import as_arguments, count_items
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.spec_base import Component

if TYPE_CHECKING:
    from learnfleet.trainer.distributed import World

ENTRY_POINT_GROUP = "learnfleet.metrics"

MetricFunction = Callable[[Tensor, Tensor], Tensor | float]


@runtime_checkable
class Metric(Protocol):
    """Something measured over a whole data set, put together from what batches and ranks have noted."""

    @property
    def name(self) -> str: ...

    def reset(self) -> None:
        """Before the first batch."""

    def update(self, output: Any, target: Any) -> None:
        """Take note of one batch of raw outputs [N, ...] and targets [N, ...]."""


@runtime_checkable
class SumMetric(Metric, Protocol):
    """A metric that is a function of sums, which cost next to nothing to add over ranks."""

    def sums(self) -> Tensor:
        """What has been noted so far, float64 on the CPU: of one shape on all ranks, or empty where nothing was."""
        ...

    def value(self, sums: Tensor) -> float:
        """The metric from the sums added over all ranks (flattened)."""
        ...


@runtime_checkable
class RowMetric(Metric, Protocol):
    """A metric that needs every item, such as an area under a curve."""

    def rows(self) -> Tensor:
        """What has been noted, float64 [items, width] on the CPU; [0, 0] where nothing was."""
        ...

    def of_rows(self, rows: Tensor) -> float:
        """The metric from the rows of all ranks."""
        ...


def results(metrics: Sequence[Metric], sums: Sequence[Tensor], world: World) -> tuple[list[Tensor], list[float]]:
    """(`sums` added over all ranks, value of each metric). Every rank must call.

    One exchange of sizes and one of sums for all sum metrics together, and one exchange for each row metric.
    """
    own = [metric.sums().double().flatten() for metric in metrics if isinstance(metric, SumMetric)]
    parts = [*(part.double().flatten() for part in sums), *own]
    if not parts:
        return [], [_of_rows(metric, world) for metric in metrics]
    sizes = world.max(torch.tensor([part.numel() for part in parts], dtype=torch.int64)).tolist()
    padded = [torch.cat([part, part.new_zeros(size - part.numel())]) for part, size in zip(parts, sizes, strict=True)]
    totals = list(torch.split(world.sum(torch.cat(padded)), sizes))
    rest = iter(totals[len(sums) :])
    values = [m.value(next(rest)) if isinstance(m, SumMetric) else _of_rows(m, world) for m in metrics]
    return totals[: len(sums)], values


def _of_rows(metric: Metric, world: World) -> float:
    if not isinstance(metric, RowMetric):
        raise LearnerError("metrics", f"{metric.name} has neither `sums` and `value` nor `rows` and `of_rows`")
    rows = metric.rows()
    width = int(world.max(torch.tensor([rows.shape[1]])).item())
    rows = world.gather_rows(rows if rows.numel() else rows.new_zeros(0, width))
    return metric.of_rows(rows) if len(rows) else float("nan")


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

    def update(self, output: Any, target: Any) -> None:
        n = count_items(target)
        try:
            value = self._function(output, *as_arguments(target))
        except (RuntimeError, IndexError) as error:
            raise misfit(self.name, output, target) from error
        if isinstance(value, Tensor) and value.numel() == 1:
            value = value.detach().double().reshape(())
        elif not isinstance(value, Real):
            told = f"{list(value.shape)} numbers" if isinstance(value, Tensor) else repr(value)
            raise LearnerError(f"metrics.{self.name}", f"it gives {told} a batch; a metric is one number")
        self._total = self._total + value * n  # stays on the device: no wait for the GPU here
        self._count += n

    def sums(self) -> Tensor:
        return torch.tensor([float(self._total), self._count], dtype=torch.float64)

    def value(self, sums: Tensor) -> float:
        return float(sums[0] / sums[1]) if sums[1] else float("nan")


_METRIC_MODULES = ("functions", "classes", "curves", "labels", "masks", "numbers", "tokens")


def _registered() -> dict[str, Any]:
    modules = [import_module(f"learnfleet.trainer.metric_{noun}") for noun in _METRIC_MODULES]
    return {item.__name__: item for module in modules for item in module.ALL}


def misfit(name: str, output: Any, target: Any) -> LearnerError:
    """The error for outputs and targets that a metric cannot compare."""
    shapes = [str(list(v.shape)) if isinstance(v, Tensor) else type(v).__name__ for v in (output, target)]
    return LearnerError("metrics", f"{name} cannot compare outputs {shapes[0]} with targets {shapes[1]}")


def _plugins() -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group=ENTRY_POINT_GROUP)}


def available_metrics() -> dict[str, list[dict[str, Any]]]:
    """Each metric's arguments: name, type ("int", "float", "bool" or "str") and default, as JSON-able data."""
    found: Mapping[str, Any] = {**{name: entry.load() for name, entry in _plugins().items()}, **_registered()}
    return {name: describe_arguments(item) for name, item in sorted(found.items())}


def build_metric(name: str, arguments: Mapping[str, Any] | None = None) -> Metric:
    """A registered metric with its arguments. Raises LearnerError for a name or argument that is not known."""
    known = _registered().get(name) or (_plugins()[name].load() if name in _plugins() else None)
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
    found: Mapping[str, Any] = {**{name: entry.load() for name, entry in _plugins().items()}, **_registered()}
    name = next((name for name, known in found.items() if known is function), None)
    if name is None:
        return None
    described = describe_arguments(found[name])
    arguments = {item["name"]: given[item["name"]] for item in described if item["name"] in given}
    defaults = {item["name"]: item["default"] for item in described}
    return Component(name, {key: value for key, value in arguments.items() if value != defaults[key]})


def as_metrics(metrics: object) -> list[Metric]:
    """Metrics as users give them (None, one, or several; names, functions or Metric objects)."""
    if metrics is None:
        return []
    items = metrics if isinstance(metrics, Iterable) and not isinstance(metrics, str) else [metrics]
    return [_as_metric(item) for item in items]


def _as_metric(item: object) -> Metric:
    if isinstance(item, str):
        return build_metric(item)
    if isinstance(item, Metric) and not inspect.isclass(item):
        return item
    if _makes_a_metric(item):
        metric = item()
        assert isinstance(metric, Metric)
        return metric
    if callable(item):
        return AverageMetric(item)
    raise LearnerError("metrics", f"{item!r} is neither a name, a function of (output, target), nor a Metric")


def _makes_a_metric(item: object) -> TypeGuard[Callable[[], object]]:
    """Whether it is a metric's class, or a partial of one."""
    made = item.func if isinstance(item, partial) else item
    return inspect.isclass(made) and all(hasattr(made, name) for name in ("reset", "update"))
