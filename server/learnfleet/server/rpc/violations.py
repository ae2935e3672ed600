"""Collecting everything that is wrong with a request, to be told at once."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeVar

from learnfleet.server.errors import FieldViolation, InvalidArgument

_T = TypeVar("_T")
_MOST_TOLD = 50


class Violations:
    """The wrong fields of one request: the first of them, and a count of the others."""

    def __init__(self) -> None:
        self._told: list[FieldViolation] = []
        self._untold = 0

    def __bool__(self) -> bool:
        return bool(self._told)

    def add(self, field: str, description: str) -> None:
        # A request of 32 MiB has room for millions of wrong fields: nobody reads them, and memory has an end.
        if len(self._told) < _MOST_TOLD:
            self._told.append(FieldViolation(field, description))
        else:
            self._untold += 1

    def check(self, is_right: bool, field: str, description: str) -> bool:
        """Note a violation unless `is_right`; returns it."""
        if not is_right:
            self.add(field, description)
        return is_right

    def number(self, field: str, value: float, least: float, most: float, *, open_ends: bool = False) -> None:
        """`value` must lie in [least, most], or within it with `open_ends`. NaN never does."""
        inside = least < value < most if open_ends else least <= value <= most
        if not inside or math.isnan(value):
            between = f"greater than {least:g} and less than {most:g}" if open_ends else f"from {least:g} to {most:g}"
            self.add(field, f"is {value:g}; must be {between}")

    def length(self, field: str, length: int, most: int) -> bool:
        """A list must have at most `most` items. Returns whether it has: longer ones are not worth reading."""
        return self.check(length <= most, field, f"has {length} items; must have at most {most}")

    def attempt(self, read: Callable[[], _T]) -> _T | None:
        """What `read` gives, or None with the violations it raises."""
        try:
            return read()
        except InvalidArgument as error:
            self.take(error)
            return None

    def take(self, error: InvalidArgument) -> None:
        """Add those of an error that was raised."""
        for violation in error.violations:
            self.add(violation.field, violation.description)

    def raise_if_any(self) -> None:
        """Raises InvalidArgument with all of them."""
        if self._told:
            more = [FieldViolation("", f"and {self._untold} more")] if self._untold else []
            raise InvalidArgument([*self._told, *more])
