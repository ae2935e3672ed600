"""The arguments of what is registered by name: described by its signature, and checked against it.

Values come as JSON has them (a whole number may stand for a float and a float for a whole number; a list for a tuple).
"""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from learnfleet.trainer.errors import LearnerError

_SCALARS = {bool: "bool", int: "int", float: "float", str: "str"}


@dataclass(frozen=True)
class Argument:
    """One argument that a remote user may set."""

    name: str
    type: str  # "int", "float", "bool", "str", "floats" (a list of numbers) or "json" (any list of objects)
    default: Any = None
    required: bool = False
    optional: bool = False  # None (null) is a value, too
    many: bool = False  # a list of numbers is a value, too
    choices: tuple[str, ...] = ()

    def describe(self) -> dict[str, Any]:
        """As JSON-able data."""
        default = list(self.default) if isinstance(self.default, tuple) else self.default
        described: dict[str, Any] = {"name": self.name, "type": self.type, "default": default}
        if self.required:
            described["required"] = True
        if self.many:
            described["many"] = True
        if self.choices:
            described["choices"] = list(self.choices)
        return described


def arguments_of(function: Callable[..., object]) -> dict[str, Argument]:
    """The arguments of a function or a constructor whose types JSON has. A first `learn` is not among them."""
    target = function.__init__ if inspect.isclass(function) else function
    hints = typing.get_type_hints(target, _names_of(target))
    found = {}
    for item in inspect.signature(function).parameters.values():
        argument = _argument(item, hints.get(item.name))
        if argument is not None:
            found[item.name] = argument
    return found


def describe_arguments(function: Callable[..., object]) -> list[dict[str, Any]]:
    """`arguments_of` as JSON-able data."""
    return [item.describe() for item in arguments_of(function).values()]


def _names_of(target: object) -> dict[str, Any]:
    """What a module imports only for type checkers is not there at run time: such annotations are of no JSON type."""
    known = getattr(target, "__globals__", {})
    return {"Learner": object, "Tensor": object, "TrainState": object, **known}


def _argument(item: inspect.Parameter, hint: Any) -> Argument | None:
    if item.name in ("learn", "self") or hint is None or item.kind in (item.VAR_KEYWORD, item.VAR_POSITIONAL):
        return None
    arms = typing.get_args(hint) if typing.get_origin(hint) in (typing.Union, types.UnionType) else (hint,)
    kinds = [(_kind(arm), arm) for arm in arms if arm is not type(None)]
    known = [(kind, arm) for kind, arm in kinds if kind is not None]
    if not known:
        return None
    required = item.default is item.empty
    kind, arm = known[0]
    many = kind != "floats" and any(other == "floats" for other, _ in known)
    choices = typing.get_args(arm) if typing.get_origin(arm) is Literal else ()
    return Argument(item.name, kind, None if required else item.default, required, type(None) in arms, many, choices)


def _kind(hint: Any) -> str | None:
    if hint in _SCALARS:
        return _SCALARS[hint]
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is Literal:
        return "str" if all(isinstance(choice, str) for choice in args) else None
    if origin in (tuple, list, Sequence) and args:
        return (
            "floats" if args[0] in (float, int) else "json" if typing.get_origin(args[0]) in (dict, Mapping) else None
        )
    return None


def check_arguments(field: str, function: Callable[..., object], arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments as the function takes them. Raises LearnerError for what is unknown, missing or of another type."""
    known = arguments_of(function)
    for name in arguments:
        if name not in known:
            raise LearnerError(field, f"there is no argument {name!r}; known: {', '.join(known) or 'none'}")
    missing = [argument.name for argument in known.values() if argument.required and argument.name not in arguments]
    if missing:
        raise LearnerError(field, f"it needs {', '.join(missing)}")
    return {name: _checked(f"{field}.{name}", known[name], value) for name, value in arguments.items()}


def _checked(field: str, argument: Argument, value: Any) -> Any:
    if value is None and argument.optional:
        return None
    if (argument.type == "floats" or argument.many) and isinstance(value, list | tuple):
        return tuple(float(_cast(field, item, "float")) for item in value)
    if argument.type == "json" and isinstance(value, list | tuple):
        return list(value)
    cast = _cast(field, value, argument.type)
    if argument.choices and cast not in argument.choices:
        raise LearnerError(field, f"{cast!r} is unknown; known: {', '.join(argument.choices)}")
    return cast


def _cast(field: str, value: Any, wanted: str) -> Any:
    if wanted == "int" and isinstance(value, float) and value.is_integer():
        return int(value)
    if wanted == "float" and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if type(value).__name__ != wanted:
        raise LearnerError(field, f"{value!r} is of type {type(value).__name__}, not {wanted}")
    return value
