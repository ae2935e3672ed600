"""Ctrl-C while a job is followed."""

from __future__ import annotations


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
