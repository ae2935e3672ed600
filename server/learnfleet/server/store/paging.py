"""Pages of lists."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Page:
    """`limit` rows after the place that `token` (opaque, from the page before) marks. Newest first."""

    limit: int = 50
    token: str = ""
