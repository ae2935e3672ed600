"""How long the caller waits for the answer.

A contextvar, as the tenant is: each call is handled in a context of its own.
"""

from __future__ import annotations

import time
from contextvars import ContextVar

# On the monotonic clock. None: the caller waits for ever.
_deadline: ContextVar[float | None] = ContextVar("deadline", default=None)


def enter(remaining_s: float | None) -> None:
    """Take the time that a call has left, as gRPC tells it."""
    _deadline.set(None if remaining_s is None else time.monotonic() + remaining_s)


def remaining_s() -> float | None:
    """What is left of it now; None without a deadline."""
    deadline = _deadline.get()
    return None if deadline is None else max(0.0, deadline - time.monotonic())
