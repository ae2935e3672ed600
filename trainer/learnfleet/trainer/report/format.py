"""How numbers are written on the page."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

DASH = "–"


def percent(value: float | None, digits: int = 1) -> str:
    """A share in [0, 1] as 97.4 %."""
    return DASH if value is None or not math.isfinite(value) else f"{100 * value:.{digits}f} %"


def number(value: float | None, digits: int = 3) -> str:
    """Fixed decimals; in powers of ten where they would show nothing or too much."""
    if value is None or not math.isfinite(value):
        return DASH
    if value and (abs(value) < 10**-digits or abs(value) >= 1e6):
        return f"{value:.2e}"
    return f"{value:.{digits}f}"


def count(value: int | None) -> str:
    """With thin spaces between thousands."""
    return DASH if value is None else f"{value:,}".replace(",", "\u202f")


def p_value(value: float | None) -> str:
    if value is None:
        return DASH
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


FILTERS: dict[str, Callable[..., Any]] = {"percent": percent, "num": number, "count": count, "p_value": p_value}
