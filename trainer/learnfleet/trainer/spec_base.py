"""The JSON round trip of every specification. Imports no torch."""

from __future__ import annotations

import dataclasses
import functools
import types
import typing
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Self, TypeAlias

Json: TypeAlias = dict[str, Any]


class Spec:
    """JSON round trip for frozen dataclasses; `from_json` refuses unknown fields."""

    def to_json(self) -> Json:
        return {f.name: _dump(getattr(self, f.name)) for f in dataclasses.fields(self)}  # type: ignore[arg-type]

    @classmethod
    def from_json(cls, value: Json) -> Self:
        hints = _hints(cls)  # type: ignore[arg-type]  # a class can be hashed, whatever its instances can
        unknown = sorted(value.keys() - hints.keys())
        if unknown:
            raise ValueError(f"{cls.__name__} has no field {', '.join(unknown)}; known: {', '.join(sorted(hints))}")
        return cls(**{name: _load(hints[name], item) for name, item in value.items()})


@functools.cache
def _hints(spec: type[Spec]) -> dict[str, Any]:
    """Types of its fields. To find them takes longer than all the rest, and a queue has thousands of specifications."""
    hints = typing.get_type_hints(spec)
    return {f.name: hints[f.name] for f in dataclasses.fields(spec)}  # type: ignore[arg-type]


def _dump(value: object) -> Any:
    if isinstance(value, Spec):
        return value.to_json()
    if isinstance(value, tuple | list):
        return [_dump(item) for item in value]
    if isinstance(value, StrEnum):
        return str(value)
    return value


def _load(hint: Any, value: Any) -> Any:
    if value is None:
        return None
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        inner = [arg for arg in typing.get_args(hint) if arg is not type(None)]
        if len(inner) == 1:
            return _load(inner[0], value)
        sequences = [arg for arg in inner if typing.get_origin(arg) is tuple]
        return _load(sequences[0], value) if sequences and isinstance(value, list | tuple) else value
    if origin is tuple:
        args = typing.get_args(hint)
        return tuple(_load(args[0], item) for item in value)
    if isinstance(hint, type) and issubclass(hint, Spec):
        return hint.from_json(value)
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return hint(value)
    if hint is float:
        return float(value)
    return value


@dataclass(frozen=True)
class Component(Spec):
    """A registered name and its arguments: a metric, a loss, a callback, a transform."""

    name: str
    arguments: Json = field(default_factory=dict)
