"""Registered names and their arguments from protobuf, checked against the signatures that the workers know."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from google.protobuf.json_format import MessageToDict
from google.protobuf.struct_pb2 import Struct, Value

from learnfleet.server.rpc.ports import Argument, Catalog
from learnfleet.server.rpc.violations import Violations
from learnfleet.trainer.spec_base import Component
from learnfleet.v1 import learner_pb2 as pb

Signatures = Mapping[str, tuple[Argument, ...]]
_MAX_COMPONENTS = 50
_MAX_JSON_BYTES = 65_536


@dataclass(frozen=True)
class Names:
    """What the workers know by name."""

    architectures: frozenset[str]
    metrics: Signatures
    losses: Signatures
    callbacks: Signatures
    optimizers: Signatures
    transforms: Signatures

    @classmethod
    async def of(cls, catalog: Catalog) -> Names:
        return cls(
            await catalog.architectures(),
            await catalog.components("metrics"),
            await catalog.components("losses"),
            await catalog.components("callbacks"),
            await catalog.components("optimizers"),
            await catalog.components("transforms"),
        )


def read_components(
    messages: Sequence[pb.Component], field: str, found: Violations, known: Signatures, what: str
) -> tuple[Component, ...]:
    """Registered components in their order."""
    if not found.length(field, len(messages), _MAX_COMPONENTS):
        return ()
    return tuple(read_component(item, f"{field}[{i}]", found, known, what) for i, item in enumerate(messages))


def read_metrics(
    messages: Sequence[pb.Component], field: str, found: Violations, known: Signatures
) -> tuple[Component, ...]:
    """Registered metrics, each listed once."""
    metrics = read_components(messages, field, found, known, "metric")
    seen: set[str] = set()
    for index, metric in enumerate(metrics):
        found.check(metric.name not in seen, f"{field}[{index}].name", f"'{metric.name}' is listed twice")
        seen.add(metric.name)
    return metrics


def read_component(
    message: pb.Component, field: str, found: Violations, known: Mapping[str, tuple[Argument, ...]], what: str
) -> Component:
    """A registered name with arguments that fit its signature."""
    if not check_known(message.name, f"{field}.name", found, known, what):
        return Component(message.name)
    return Component(message.name, read_arguments(message.arguments, f"{field}.arguments", found, known[message.name]))


def read_arguments(message: Struct, field: str, found: Violations, signature: tuple[Argument, ...]) -> dict[str, Any]:
    """Arguments of the types that the signature says; a Struct's numbers are all floating-point."""
    by_name = {argument.name: argument for argument in signature}
    takes = ", ".join(f"{a.name} ({a.type}, default {a.default})" for a in signature) or "none"
    read: dict[str, Any] = {}
    for name, value in message.fields.items():
        argument = by_name.get(name)
        if argument is None:
            found.add(f"{field}.{name[:80]}", f"is no argument it takes; it takes {takes}")
        elif found.check(_fits(value, argument), f"{field}.{name}", f"must be {_right(argument)}"):
            read[name] = _plain(value, argument)
    for argument in signature:
        missing = argument.required and argument.name not in message.fields
        found.check(not missing, f"{field}.{argument.name}", f"is missing; must be {_right(argument)}")
    return read


def _right(argument: Argument) -> str:
    if argument.choices:
        return f"one of {', '.join(argument.choices)}"
    words = {"floats": "a list of finite numbers", "json": "a list of objects", "float": "of type float and finite"}
    right = words.get(argument.type, f"of type {argument.type}")
    return f"{right}, or a list of numbers" if argument.many else right


def _fits(value: Value, argument: Argument) -> bool:
    kind = value.WhichOneof("kind")
    if kind == "null_value":
        return argument.default is None and not argument.required
    if argument.type == "bool":
        return bool(kind == "bool_value")
    if argument.type == "str":
        return bool(kind == "string_value" and (not argument.choices or value.string_value in argument.choices))
    if kind == "list_value" and (argument.type == "floats" or argument.many):
        return all(_is_number(item) for item in value.list_value.values)
    if argument.type == "json":
        return bool(kind == "list_value" and _is_small(value))
    return _is_number(value) and (argument.type != "int" or float(value.number_value).is_integer())


def _is_number(value: Value) -> bool:
    return bool(value.WhichOneof("kind") == "number_value" and math.isfinite(value.number_value))


def _is_small(value: Value) -> bool:
    return int(value.ByteSize()) <= _MAX_JSON_BYTES


def _plain(value: Value, argument: Argument) -> Any:
    kind = value.WhichOneof("kind")
    if kind == "number_value":
        return int(value.number_value) if argument.type == "int" else float(value.number_value)
    if kind == "list_value":
        return MessageToDict(value.list_value)
    return {"bool_value": value.bool_value, "string_value": value.string_value}.get(str(kind))


def check_known(name: str, field: str, found: Violations, known: Iterable[str], what: str) -> bool:
    """Whether a name is known; if not, the nearest ones are told."""
    names = sorted(known)
    if name in names:
        return True
    close = difflib.get_close_matches(name[:80], names, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(close)}?" if close else f"there are {len(names)}, such as {', '.join(names[:5])}"
    found.add(field, f"'{name[:80]}' is no known {what}; {hint}" if name else f"is empty; must name a known {what}")
    return False
