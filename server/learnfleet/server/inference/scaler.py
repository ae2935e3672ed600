"""How many replicas there are to be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

_BATCHES_WAITING = 2.0  # for each replica: more than that is a queue


@dataclass(frozen=True)
class ScaleSettings:
    """Between which numbers, and how fast."""

    least: int
    most: int
    patience_s: float = 1.0  # a queue that is gone sooner needs no replica
    idle_s: float = 600.0  # a replica that had nothing to do for so long ends


class Scaler:
    """Asked once in a while; keeps only since when there has been a queue."""

    def __init__(self, settings: ScaleSettings) -> None:
        self._settings = settings
        self._queued_since: float | None = None

    def more(self, now: float, replicas: int, batches_waiting: float) -> bool:
        """Whether another replica is to be started; `replicas` counts those that are coming up.

        The first is started by who needs it.
        """
        settings = self._settings
        if replicas < settings.least:
            return True
        if replicas == 0 or batches_waiting <= _BATCHES_WAITING * replicas:
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
