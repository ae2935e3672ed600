"""What one setting is: its names on the command line, in the environment and in the file, and what it may be."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

PREFIX = "LEARNFLEET_"
_METADATA = "setting"
_SCALARS = (str, bool, int, float, Path)

T = TypeVar("T")


@dataclass(frozen=True)
class Rules:
    """What a field of the configuration says about itself besides its type and default."""

    section: str
    help: str
    least: float | None
    most: float | None
    choices: Sequence[str]
    flag: str
    metavar: str
    read: Callable[[str], object] | None
    write: Callable[[Any], str] | None
    unset: Callable[[], object] | None
    unset_text: str
    secret: bool


@dataclass(frozen=True)
class Setting:
    """One setting, as every source and page of it needs it."""

    name: str  # of the field
    kind: type  # of a value, or of each value of a list: str, bool, int, float or Path
    is_list: bool
    may_be_none: bool
    default: object
    rules: Rules

    @property
    def flag(self) -> str:
        """Without the dashes."""
        return self.rules.flag or self.name.replace("_", "-")

    @property
    def variable(self) -> str:
        return PREFIX + self.name.upper()

    @property
    def key(self) -> str:
        """In the file: `section.name`, the name without the section's where it begins with it."""
        return f"{self.rules.section}.{self.name.removeprefix(self.rules.section + '_')}"

    @property
    def metavar(self) -> str:
        """What a value looks like, for help and pages."""
        if self.rules.metavar or self.rules.choices:
            return self.rules.metavar or "|".join(self.rules.choices)
        return {str: "TEXT", bool: "true|false", int: "INTEGER", float: "NUMBER", Path: "PATH"}[self.kind]

    @property
    def bounds(self) -> str:
        """`from 4 to 1024`, or nothing."""
        least, most = self.rules.least, self.rules.most
        if least is None:
            return "" if most is None else f"at most {most:,.15g}"
        return f"at least {least:,.15g}" if most is None else f"from {least:,.15g} to {most:,.15g}"


def setting(
    section: str,
    default: T,
    help: str,  # noqa: A002  what it is called wherever there are options
    *,
    least: float | None = None,
    most: float | None = None,
    choices: Sequence[str] = (),
    flag: str = "",
    metavar: str = "",
    read: Callable[[str], object] | None = None,
    write: Callable[[Any], str] | None = None,
    unset: Callable[[], object] | None = None,
    unset_text: str = "",
    secret: bool = False,
) -> T:
    """A field of `Config` that has a flag, a variable and a key in the file. `config.py` says how one is added.

    Args:
        section: table of the file, and heading in the help.
        help: one or two sentences, without the default.
        least, most: bounds of a number, both allowed.
        flag: without dashes, where it is not the field's name (`data-root` for `data_roots`).
        read: makes the value, or each of a list, of a string. Raises ValueError that says what it must be.
        write: the string that `read` makes that value of. Default: str.
        unset: the value where no source names the setting, if that is not the field's default.
        unset_text: what that is, in words, where the value itself says too little ("made up").
        secret: never shown; the sources that errors name are.
    """
    rules = Rules(section, help, least, most, choices, flag, metavar, read, write, unset, unset_text, secret)
    return dataclasses.field(default=default, metadata={_METADATA: rules})


@cache
def settings_of(config: type) -> tuple[Setting, ...]:
    """Every field of a dataclass, in its order. Raises TypeError for a field that is no setting."""
    hints = typing.get_type_hints(config)
    return tuple(_describe(field, hints[field.name]) for field in dataclasses.fields(config))


def _describe(field: dataclasses.Field[Any], annotation: Any) -> Setting:
    rules = field.metadata.get(_METADATA)
    if rules is None:
        raise TypeError(f"the field {field.name} must be made by setting(...)")
    members = typing.get_args(annotation) if isinstance(annotation, types.UnionType) else (annotation,)
    kinds = [member for member in members if member is not type(None)]
    is_list = typing.get_origin(kinds[0]) is tuple
    kind = str if rules.read is not None else kinds[0]
    if is_list and rules.read is None:
        kind = typing.get_args(kinds[0])[0]
    if kind not in _SCALARS or (len(kinds) > 1 and rules.read is None):
        raise TypeError(f"the field {field.name} is a {annotation}: say how one is read, by read=")
    return Setting(field.name, kind, is_list, len(kinds) < len(members), field.default, rules)
