"""Leaving a run over data early, on all ranks at the same point. (A fit has its own way: it can be resumed.)"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from learnfleet.trainer.learner import Learner


class Interrupted(Exception):
    """A validation or a run of predictions was left because of a stop request. Raised on all ranks."""


def never() -> bool:
    """Nobody asks for a stop."""
    return False


@contextmanager
def heeding(learner: Learner, stop_requested: Callable[[], bool]) -> Iterator[None]:
    """Inside, the learner's validations and predictions raise Interrupted soon after a stop is requested.

    Args:
        stop_requested: polled on every rank at every batch. One rank's True is all's once each has done its batches,
            so a stop that comes soon is one that is requested on all of them.
    """
    learner.stop_requested = stop_requested
    try:
        yield
    finally:
        learner.stop_requested = never
