"""What the trainer has registered by name, as values that read like the trainer's own classes and functions.

`MixUpCallback(learn, alpha=0.2)`, `partial(accuracy_thresh, thresh=0.3)`, `FBeta(beta=1)`, `accuracy`, `cutout(p=0.5)`:
a name and arguments, checked here against the registered signature. No code travels; the workers make the object.
"""

from __future__ import annotations

import functools
import inspect
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from pathlib import Path
from typing import Any, ClassVar, Self

Json = Any  # what JSON can hold

_LEARN = "learn"


@dataclass(frozen=True)
class Entry:
    """A row of `registered.json`."""

    name: str  # in Python
    kind: str  # callbacks, losses, metrics, optimizers or transforms
    registered: str
    is_class: bool
    doc: str
    arguments: tuple[Mapping[str, Json], ...]
    column: str = ""  # of a metric, in the epoch table

    def signature(self) -> inspect.Signature:
        """As a user calls it: a callback takes the learner first."""
        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
        first = [inspect.Parameter(_LEARN, kind, default=None)] if self.kind == "callbacks" else []
        given = [inspect.Parameter(item["name"], kind, default=item["default"]) for item in self.arguments]
        return inspect.Signature([*first, *given])

    def bind(self, args: Sequence[object], kwargs: Mapping[str, object]) -> dict[str, Json]:
        """The arguments that were given, by name. Raises TypeError for others, missing ones and wrong types."""
        try:
            bound = self.signature().bind(*args, **kwargs).arguments
        except TypeError as error:
            takes = ", ".join(item["name"] for item in self.arguments) or "no arguments"
            raise TypeError(f"{self.name}: {error}; over the service it takes {takes}") from None
        bound.pop(_LEARN, None)
        by_name = {item["name"]: item for item in self.arguments}
        missing = [name for name, item in by_name.items() if item.get("required") and name not in bound]
        if missing:
            raise TypeError(f"{self.name} needs {', '.join(missing)}")
        return {name: _checked(f"{self.name}({name})", value, by_name[name]) for name, value in bound.items()}


@functools.cache
def table() -> Mapping[str, Json]:
    """The content of `registered.json`."""
    file = Path(__file__).with_name("registered.json")  # importlib.resources takes a tenth of a second to load
    found: Mapping[str, Json] = json.loads(file.read_text(encoding="utf-8"))
    return found


@functools.cache
def entries() -> dict[str, Entry]:
    """By their names in Python."""
    rows = [Entry(**{**row, "arguments": tuple(row["arguments"])}) for row in table()["components"]]
    return {row.name: row for row in rows}


class Named:
    """A registered component and its arguments. Two of the same name and arguments are equal."""

    entry: ClassVar[Entry]

    def __init__(self, *args: object, **kwargs: object) -> None:
        """Raises TypeError for arguments that are not in the registered signature."""
        self.arguments = self.entry.bind(args, kwargs)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Named) and (self.entry, self.arguments) == (other.entry, other.arguments)

    def __hash__(self) -> int:
        return hash((self.entry.registered, json.dumps(self.arguments, sort_keys=True)))

    def __repr__(self) -> str:
        return f"{self.entry.name}({', '.join(f'{name}={value!r}' for name, value in self.arguments.items())})"


class NamedFunction(Named):
    """A metric or transform that is a function in the trainer: given as it is, or called with its arguments."""

    entry: Entry  # type: ignore[misc]  # of each function its own

    def __init__(self, entry: Entry, arguments: Mapping[str, Json] | None = None) -> None:
        self.entry, self.arguments = entry, dict(arguments or {})
        self.__name__, self.__doc__, self.__signature__ = entry.name, entry.doc, entry.signature()

    def __call__(self, *args: object, **kwargs: object) -> Self:
        if args and self.entry.kind == "metrics":
            raise TypeError(
                f"{self.entry.name} is computed by the workers, and not here: give it as a metric, or ask"
                f" learn.validate(metrics=[{self.entry.name}])"
            )
        return type(self)(self.entry, {**self.arguments, **self.entry.bind(args, kwargs)})

    def __repr__(self) -> str:
        return super().__repr__() if self.arguments else self.entry.name


def find(name: str) -> type[Named] | NamedFunction:
    """What `name` is called in the trainer: a class, or a function's value. Raises KeyError."""
    entry = entries()[name]
    if not entry.is_class:
        return NamedFunction(entry)
    content = {
        "entry": entry,
        "__doc__": entry.doc,
        "__signature__": entry.signature(),
        "__module__": "learnfleet.client",
        "__qualname__": name,
    }
    return type(name, (Named,), content)


def settled(component: object) -> tuple[str, dict[str, Json]] | None:
    """Name and arguments of a value, of a class that is called without any, or of a `partial` of either.

    None for what is none of these.
    """
    if isinstance(component, functools.partial):
        made = component.func(*component.args, **component.keywords)
        return settled(made) if isinstance(made, Named) else None
    if isinstance(component, type) and issubclass(component, Named):
        component = component()
    return (component.entry.registered, component.arguments) if isinstance(component, Named) else None


def _checked(field: str, value: Any, argument: Mapping[str, Json]) -> Json:
    """The value as JSON has it. Raises TypeError for one of another type, ValueError for an unknown word."""
    wanted = str(argument["type"])
    if hasattr(value, "to_json"):
        value = value.to_json()
    if isinstance(value, list | tuple):
        value = [item.to_json() if hasattr(item, "to_json") else item for item in value]
        fits = wanted in ("floats", "json") or bool(argument.get("many"))
    else:
        fits = (value is None and argument["default"] is None) or _fits(value, wanted)
        fits = fits or (wanted == "floats" and _fits(value, "float"))
    if not fits:
        raise TypeError(f"{field} is {value!r}; over the service it must be of type {wanted}")
    if argument.get("choices") and value is not None and value not in argument["choices"]:
        raise ValueError(f"{field} is {value!r}; must be one of {', '.join(argument['choices'])}")
    return value


def _fits(value: object, wanted: str) -> bool:
    if wanted == "bool":
        return isinstance(value, bool)
    if wanted == "int":
        return isinstance(value, Integral) and not isinstance(value, bool)
    if wanted == "float":
        return isinstance(value, Real) and not isinstance(value, bool)
    return wanted == "str" and isinstance(value, str)
