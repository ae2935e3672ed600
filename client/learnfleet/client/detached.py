"""Ctrl-C while a job is followed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class Detached(KeyboardInterrupt):
    """Following was interrupted; the job goes on."""

    def __init__(self, job: str) -> None:
        super().__init__(
            f"{job} goes on. learn.last_job.follow() shows it again, learn.last_job.cancel() stops it; from anywhere:"
            f" connect().job({job!r}), or `learnfleet watch {job}` and `learnfleet cancel {job}`"
        )
        self.job = job

    def _render_traceback_(self) -> list[str]:
        """For notebooks: what happened is the message, and where it happened does not matter."""
        return [f"Detached: {self}"]


@contextmanager
def detaching(job: str) -> Iterator[None]:
    """Turns an interrupt into Detached, also one that came inside a wait of a lock.

    Python's Condition may then be left without its lock, and what is raised in the end is that it cannot be released.
    """
    try:
        yield
    except KeyboardInterrupt:
        raise Detached(job) from None
    except RuntimeError as error:
        if not isinstance(error.__context__, KeyboardInterrupt):
            raise
        raise Detached(job) from None
