"""How many replicas there are to be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

BUSY = 0.8  # batches in flight or in line, on average: a replica with more has no time left


@dataclass(frozen=True)
class ScaleSettings:
    """Between which numbers, and how fast."""

    least: int
    most: int
    patience_s: float = 1.0  # a queue that is gone sooner needs no replica
    idle_s: float = 600.0  # a replica that had nothing to do for so long ends


class Pressure:
    """How many batches of a model were in flight or in line, on average of the time since it was last asked for.

    An average: clients that ask again when they are answered all pause together.
    """

    def __init__(self) -> None:
        self._batches = self._area = 0.0
        self._since: float | None = None  # of the average
        self._noted = 0.0

    def note(self, now: float, batches: float) -> None:
        """From now on there are so many."""
        self._pass(now)
        self._batches = batches

    def mean(self, now: float) -> float:
        """The average, which begins anew."""
        self._pass(now)
        assert self._since is not None
        found = self._area / (now - self._since) if now > self._since else self._batches
        self._since, self._area = now, 0.0
        return found

    def _pass(self, now: float) -> None:
        if self._since is None:
            self._since = self._noted = now
        self._area += self._batches * (now - self._noted)
        self._noted = now


class Scaler:
    """Asked once in a while; keeps only since when there has been a queue."""

    def __init__(self, settings: ScaleSettings) -> None:
        self._settings = settings
        self._queued_since: float | None = None

    def more(self, now: float, replicas: int, batches: float) -> bool:
        """Whether another replica is to be started; `replicas` counts those that are coming up.

        The first is started by who needs it.

        Args:
            batches: in flight and in line, see `Pressure`.
        """
        settings = self._settings
        if replicas < settings.least:
            return True
        if replicas == 0 or batches <= BUSY * replicas:
            self._queued_since = None
            return False
        if self._queued_since is None:
            self._queued_since = now
        if replicas >= settings.most or now - self._queued_since < settings.patience_s:
            return False
        self._queued_since = now  # the next one gets its time to help
        return True

    def fewer(self, now: float, idle_since: Sequence[float | None]) -> list[int]:
        """Places of the replicas that are to end. None: it has something to do, or is to stay."""
        spare = len(idle_since) - self._settings.least
        idle = [(since, place) for place, since in enumerate(idle_since) if since is not None]
        ended = [place for since, place in sorted(idle) if now - since >= self._settings.idle_s]
        return ended[: max(0, spare)]
