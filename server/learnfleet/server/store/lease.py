"""The right to act for all servers that share a store."""

from __future__ import annotations

from dataclasses import dataclass

SCHEDULER = "scheduler"  # to admit and run jobs, and to tell MLflow of them


@dataclass(frozen=True)
class Lease:
    """Who holds it, and for which time: `term` is one more with every change of hands, and fences the writes of
    those before. `beat` moves on while the holder lives; waiters measure by their own clocks how long it stands still.
    """

    name: str
    holder: str | None  # a server's id; None: it was given back
    beat: int
    term: int
