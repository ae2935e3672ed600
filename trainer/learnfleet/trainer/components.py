"""What registered components (metrics, losses, callbacks) take: arguments by name and type."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from typing import Any

from learnfleet.trainer.errors import LearnerError

_TYPES = (int, float, bool, str)


def describe_arguments(function: Callable[..., object]) -> list[dict[str, Any]]:
    """The arguments with defaults of a function, or of a class's constructor: those a user may set.

    Those whose default is None are known by their annotation.
    """
    parameters = inspect.signature(function).parameters.values()
    described = [(item.name, _type_name(item), item.default) for item in parameters]
    return [{"name": name, "type": kind, "default": default} for name, kind, default in described if kind is not None]


def _type_name(parameter: inspect.Parameter) -> str | None:
    default = parameter.default
    if type(default) in _TYPES:
        return type(default).__name__
    if default is not None:
        return None
    found = re.search(r"\b(int|float|bool|str)\b", str(parameter.annotation))
    return found[1] if found else None


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
