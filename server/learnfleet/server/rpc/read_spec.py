"""Learner specifications from protobuf, with everything that is wrong with them."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from google.protobuf.struct_pb2 import Struct, Value

from learnfleet.server.data.roots import DataRoots
from learnfleet.server.rpc.ports import Argument, Catalog
from learnfleet.server.rpc.read_data import read_data
from learnfleet.server.rpc.violations import Violations
from learnfleet.trainer.spec import Component, HeadSpec, LearnerSpec, OptimizerSpec, WeightsSpec
from learnfleet.v1 import learner_pb2 as pb

_WEIGHT_SUFFIXES = (".safetensors", ".pth", ".pt")
_OPTIMIZERS = ("adam", "sgd")
_MAX_WIDTH = 65536
_MAX_METRICS = 50
_MAX_LAYERS = 20


@dataclass(frozen=True)
class Names:
    """What the workers know by name."""

    architectures: frozenset[str]
    metrics: Mapping[str, tuple[Argument, ...]]
    losses: Mapping[str, tuple[Argument, ...]]

    @classmethod
    async def of(cls, catalog: Catalog) -> Names:
        return cls(await catalog.architectures(), await catalog.metrics(), await catalog.losses())


def read_learner_spec(
    message: pb.LearnerSpec, field: str, found: Violations, names: Names, roots: DataRoots
) -> LearnerSpec | None:
    """The specification, or None if `found` has got violations that leave none."""
    _check_known(message.architecture, f"{field}.architecture", found, names.architectures, "architecture")
    data = read_data(message.data, f"{field}.data", found, roots)
    weights = _read_weights(message.weights, f"{field}.weights", found, roots)
    head = _read_head(message.head, f"{field}.head", found)
    metrics = read_metrics(message.metrics, f"{field}.metrics", found, names.metrics)
    loss = None
    if message.HasField("loss"):
        loss = read_component(message.loss, f"{field}.loss", found, names.losses, "loss")
    optimizer = _read_optimizer(message.optimizer, f"{field}.optimizer", found)
    if data is None or weights is None:
        return None
    return LearnerSpec(
        data=data,
        architecture=message.architecture,
        weights=weights,
        head=head,
        metrics=metrics,
        loss=loss,
        optimizer=optimizer,
        train_bn=message.train_bn if message.HasField("train_bn") else True,
        seed=message.seed,
    )


def read_metrics(
    messages: Sequence[pb.Component], field: str, found: Violations, known: Mapping[str, tuple[Argument, ...]]
) -> tuple[Component, ...]:
    """Registered metrics, each listed once."""
    if not found.length(field, len(messages), _MAX_METRICS):
        return ()
    metrics = tuple(
        read_component(item, f"{field}[{index}]", found, known, "metric") for index, item in enumerate(messages)
    )
    seen: set[str] = set()
    for index, metric in enumerate(metrics):
        found.check(metric.name not in seen, f"{field}[{index}].name", f"'{metric.name}' is listed twice")
        seen.add(metric.name)
    return metrics


def read_component(
    message: pb.Component, field: str, found: Violations, known: Mapping[str, tuple[Argument, ...]], what: str
) -> Component:
    """A registered name with arguments that fit its signature."""
    if not _check_known(message.name, f"{field}.name", found, known, what):
        return Component(message.name)
    return Component(message.name, _read_arguments(message.arguments, f"{field}.arguments", found, known[message.name]))


def _read_arguments(
    message: Struct, field: str, found: Violations, signature: tuple[Argument, ...]
) -> dict[str, object]:
    by_name = {argument.name: argument for argument in signature}
    takes = ", ".join(f"{a.name} ({a.type}, default {a.default})" for a in signature) or "none"
    read: dict[str, object] = {}
    for name, value in message.fields.items():
        argument = by_name.get(name)
        if argument is None:
            found.add(f"{field}.{name[:80]}", f"is no argument it takes; it takes {takes}")
            continue
        scalar = _scalar(value, argument.type)
        right = f"must be of type {argument.type}" + (" and finite" if argument.type == "float" else "")
        if found.check(scalar is not None, f"{field}.{name}", right):
            read[name] = scalar
    return read


def _scalar(value: Value, type_name: str) -> bool | int | float | str | None:
    """The value as `int`, `float`, `str` or `bool`; None if it is none. A Struct's numbers are all floating-point."""
    kind = value.WhichOneof("kind")
    if (type_name, kind) == ("bool", "bool_value"):
        return bool(value.bool_value)
    if (type_name, kind) == ("str", "string_value"):
        return str(value.string_value)
    if kind != "number_value" or not math.isfinite(value.number_value):
        return None
    if type_name == "int":
        return int(value.number_value) if value.number_value.is_integer() else None
    return float(value.number_value) if type_name == "float" else None


def _check_known(name: str, field: str, found: Violations, known: Iterable[str], what: str) -> bool:
    names = sorted(known)
    if name in names:
        return True
    close = difflib.get_close_matches(name[:80], names, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(close)}?" if close else f"there are {len(names)}, such as {', '.join(names[:5])}"
    found.add(field, f"'{name[:80]}' is no known {what}; {hint}" if name else f"is empty; must name a known {what}")
    return False


def _read_weights(message: pb.Weights, field: str, found: Violations, roots: DataRoots) -> WeightsSpec | None:
    source = message.WhichOneof("source")
    if source == "pretrained":
        return WeightsSpec("pretrained" if message.pretrained else "none")
    if source is None:
        return WeightsSpec()
    path = found.attempt(lambda: roots.resolve(message.file, f"{field}.file"))
    if path is None:
        return None
    return WeightsSpec("file", str(path)) if _check_weights_file(path, f"{field}.file", found) else None


def _check_weights_file(path: Path, field: str, found: Violations) -> bool:
    suffixes = ", ".join(_WEIGHT_SUFFIXES)
    return found.check(path.suffix in _WEIGHT_SUFFIXES, field, f"'{path.name}' is not a {suffixes} file") and (
        found.check(path.is_file(), field, f"'{path}' is not a file")
    )


def _read_head(message: pb.Head, field: str, found: Violations) -> HeadSpec:
    if not found.length(f"{field}.lin_ftrs", len(message.lin_ftrs), _MAX_LAYERS):
        return HeadSpec()
    for index, width in enumerate(message.lin_ftrs):
        found.number(f"{field}.lin_ftrs[{index}]", width, 1, _MAX_WIDTH)
    for index, share in enumerate(message.ps[: _MAX_LAYERS + 1]):
        found.check(0 <= share < 1, f"{field}.ps[{index}]", f"is {share:g}; must be at least 0 and less than 1")
    if message.linear_only:
        found.check(not message.lin_ftrs, f"{field}.lin_ftrs", "must be empty where linear_only is set")
    hidden = len(message.lin_ftrs) or (0 if message.linear_only else 1)
    fits = len(message.ps) in (0, 1, hidden + 1)
    found.check(fits, f"{field}.ps", f"has {len(message.ps)} values; must have 1, or one a linear layer: {hidden + 1}")
    return HeadSpec(
        lin_ftrs=() if message.linear_only else tuple(message.lin_ftrs) or None,
        ps=tuple(message.ps) or (0.5,),
        concat_pool=message.concat_pool if message.HasField("concat_pool") else True,
        bn_final=message.bn_final,
    )


def _read_optimizer(message: pb.Optimizer, field: str, found: Violations) -> OptimizerSpec:
    name = message.name or "adam"
    found.check(name in _OPTIMIZERS, f"{field}.name", f"'{name[:40]}' is unknown; known: {', '.join(_OPTIMIZERS)}")
    wd = message.wd if message.HasField("wd") else 1e-2
    found.number(f"{field}.wd", wd, 0, 10)
    return OptimizerSpec(
        name="sgd" if name == "sgd" else "adam",
        wd=wd,
        true_wd=message.true_wd if message.HasField("true_wd") else True,
        bn_wd=message.bn_wd if message.HasField("bn_wd") else True,
    )
