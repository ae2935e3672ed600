"""How the time that a server has for its stop is shared out."""

from __future__ import annotations

from dataclasses import dataclass

# One after the other; what one leaves the next need not use. The rest is for the process itself to end.
_JOBS, _WORKERS, _TRACKING, _CALLS, _RAY = 0.45, 0.75, 0.2, 0.15, 0.15


@dataclass(frozen=True)
class DrainTimes:
    """The longest that each part of a stop may take, in seconds; together less than the whole."""

    whole_s: float

    @property
    def jobs_s(self) -> float:
        """For all running jobs together: to save their state, or be left with their newest checkpoint."""
        return self.whole_s * _JOBS

    @property
    def workers_s(self) -> float:
        """Of that for workers to finish their batch, before they are ended."""
        return self.jobs_s * _WORKERS

    @property
    def tracking_s(self) -> float:
        """For MLflow to hear of everything; the rest it hears when a server starts again."""
        return self.whole_s * _TRACKING

    @property
    def calls_s(self) -> float:
        """For calls that were let in before the stop, and streams that end."""
        return self.whole_s * _CALLS

    @property
    def ray_s(self) -> float:
        """For the process that talks to Ray, and a local Ray, to end by themselves."""
        return self.whole_s * _RAY
