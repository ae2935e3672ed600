"""Learner specifications from protobuf, with everything that is wrong with them."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from google.protobuf.json_format import MessageToDict

from learnfleet.server.data.roots import DataRoots
from learnfleet.server.rpc.ports import Argument
from learnfleet.server.rpc.read_data import read_data
from learnfleet.server.rpc.violations import Violations
from learnfleet.trainer.spec import Component, HeadSpec, LearnerSpec, OptimizerSpec, WeightsSpec
from learnfleet.v1 import learner_pb2 as pb

_WEIGHT_SUFFIXES = (".safetensors", ".pth", ".pt")
_OPTIMIZERS = ("adam", "sgd")
_MAX_WIDTH = 65536
_TYPES: dict[str, tuple[type, ...]] = {"int": (int,), "float": (int, float), "str": (str,), "bool": (bool,)}


@dataclass(frozen=True)
class Names:
    """What the workers know by name."""

    architectures: frozenset[str]
    metrics: Mapping[str, tuple[Argument, ...]]
    losses: Mapping[str, tuple[Argument, ...]]


def read_learner_spec(
    message: pb.LearnerSpec, field: str, found: Violations, names: Names, roots: DataRoots
) -> LearnerSpec | None:
    """The specification, or None if `found` has got violations that leave none."""
    _check_known(message.architecture, f"{field}.architecture", found, names.architectures, "architecture")
    data = read_data(message.data, f"{field}.data", found, roots)
    weights = _read_weights(message.weights, f"{field}.weights", found, roots)
    head = _read_head(message.head, f"{field}.head", found)
    metrics = _read_metrics(message, field, found, names)
    loss = Component("cross_entropy")
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


def _read_metrics(message: pb.LearnerSpec, field: str, found: Violations, names: Names) -> tuple[Component, ...]:
    metrics = tuple(
        read_component(item, f"{field}.metrics[{index}]", found, names.metrics, "metric")
        for index, item in enumerate(message.metrics)
    )
    seen: set[str] = set()
    for index, metric in enumerate(metrics):
        found.check(metric.name not in seen, f"{field}.metrics[{index}].name", f"'{metric.name}' is listed twice")
        seen.add(metric.name)
    return metrics


def read_component(
    message: pb.Component, field: str, found: Violations, known: Mapping[str, tuple[Argument, ...]], what: str
) -> Component:
    """A registered name with arguments that fit its signature."""
    arguments = MessageToDict(message.arguments)
    if _check_known(message.name, f"{field}.name", found, known, what):
        arguments = _read_arguments(arguments, f"{field}.arguments", found, known[message.name])
    return Component(message.name, arguments)


def _read_arguments(
    values: dict[str, object], field: str, found: Violations, signature: tuple[Argument, ...]
) -> dict[str, object]:
    by_name = {argument.name: argument for argument in signature}
    takes = ", ".join(f"{a.name} ({a.type}, default {a.default})" for a in signature) or "none"
    read: dict[str, object] = {}
    for name, value in values.items():
        argument = by_name.get(name)
        if argument is None:
            found.add(f"{field}.{name}", f"is no argument it takes; it takes {takes}")
            continue
        # A Struct knows only floating-point numbers.
        if argument.type == "int" and isinstance(value, float) and value.is_integer():
            value = int(value)
        fits = isinstance(value, _TYPES.get(argument.type, (object,))) and (
            argument.type == "bool" or not isinstance(value, bool)
        )
        if found.check(fits, f"{field}.{name}", f"is {value!r}; must be of type {argument.type}"):
            read[name] = value
    return read


def _check_known(name: str, field: str, found: Violations, known: Iterable[str], what: str) -> bool:
    names = sorted(known)
    if name in names:
        return True
    close = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
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
    for index, width in enumerate(message.lin_ftrs):
        found.number(f"{field}.lin_ftrs[{index}]", width, 1, _MAX_WIDTH)
    for index, share in enumerate(message.ps):
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
