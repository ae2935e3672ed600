"""Small tables in HTML, for what a notebook shows of jobs, learners, checkpoints and models."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape

_CELL = "padding:2px 12px 2px 0;text-align:left;vertical-align:top;border:0"
_NUMBER = "padding:2px 8px;text-align:right;font-variant-numeric:tabular-nums"


def card(title: str, facts: Mapping[str, object]) -> str:
    """A heading over names and values; what is None or empty is left out."""
    rows = "".join(
        f'<tr><td style="{_CELL};opacity:.65">{escape(name)}</td><td style="{_CELL}">{escape(str(value))}</td></tr>'
        for name, value in facts.items()
        if value not in (None, "")
    )
    return f'<div><b>{escape(title)}</b><table style="border-collapse:collapse;margin:4px 0">{rows}</table></div>'


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Columns under their names."""
    head = "".join(f'<th style="{_NUMBER}">{escape(name)}</th>' for name in columns)
    body = "".join(
        "<tr>" + "".join(f'<td style="{_NUMBER}">{escape(str(cell))}</td>' for cell in row) + "</tr>" for row in rows
    )
    return (
        '<table border="1" class="dataframe" style="border-collapse:collapse;margin:4px 0">'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    )


def size(size_bytes: int) -> str:
    """In the unit that suits it."""
    value = float(size_bytes)
    for unit in ("bytes", "KB", "MB"):
        if value < 1000:
            return f"{value:.3g} {unit}"
        value /= 1000
    return f"{value:.3g} GB"


def listed(names: Sequence[str], at_most: int = 8) -> str:
    """The first of some names, and how many there are where these are not all."""
    shown = ", ".join(names[:at_most])
    return shown if len(names) <= at_most else f"{shown}, ... ({len(names)})"
