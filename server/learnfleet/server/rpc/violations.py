"""Collecting everything that is wrong with a request, to be told at once."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeVar

from learnfleet.server.errors import FieldViolation, InvalidArgument

_T = TypeVar("_T")


class Violations:
    """The wrong fields of one request."""

    def __init__(self) -> None:
        self.found: list[FieldViolation] = []

    def add(self, field: str, description: str) -> None:
        self.found.append(FieldViolation(field, description))

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

    def attempt(self, read: Callable[[], _T]) -> _T | None:
        """What `read` gives, or None with the violations it raises."""
        try:
            return read()
        except InvalidArgument as error:
            self.found.extend(error.violations)
            return None

    def raise_if_any(self) -> None:
        """Raises InvalidArgument with all of them."""
        if self.found:
            raise InvalidArgument(self.found)
