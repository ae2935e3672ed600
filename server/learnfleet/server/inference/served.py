"""What the engine keeps for each model that was asked of late: its line, its batch size, what it is."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field

from learnfleet.server.inference.batch_size import BatchSize
from learnfleet.server.inference.line import Line
from learnfleet.server.inference.ports import ModelInfo
from learnfleet.server.inference.references import Target
from learnfleet.server.inference.scaler import Pressure

_MOST = 256  # models with nothing to do that are remembered
_SHORTEST_WAIT_S, _LONGEST_WAIT_S = 0.1, 30.0


@dataclass(eq=False)
class Served:
    """One export with one way of computing it."""

    target: Target
    line: Line
    size: BatchSize
    info: ModelInfo | None = None  # None: nobody has asked what it is
    is_placing: bool = False
    in_flight: float = 0.0  # batches of its size
    _pressure: Pressure = field(default_factory=Pressure)

    def note(self, now: float) -> None:
        """How much there is to do, whenever that has changed."""
        waiting = len(self.line)
        self._pressure.note(now, self.in_flight + waiting / self.size.limit(waiting))

    def pressure(self, now: float) -> float:
        """Batches in flight or in line, on average since this was last asked for."""
        self.note(now)  # of a line that was given up nobody has told
        return self._pressure.mean(now)

    def emptied_in_s(self, replicas: int) -> float:
        """When to try again: about when half of the line is gone."""
        seconds = self.size.item_s() * len(self.line) / 2 / max(1, replicas)
        return min(max(seconds, _SHORTEST_WAIT_S), _LONGEST_WAIT_S)


class ServedModels:
    """By target; the newest use is at the end."""

    def __init__(self, max_batch: int, max_waiting: int) -> None:
        self._max_batch, self._max_waiting = max_batch, max_waiting
        self._models: OrderedDict[str, Served] = OrderedDict()

    def __iter__(self) -> Iterator[Served]:
        return iter(list(self._models.values()))

    def of(self, target: Target) -> Served:
        served = self._models.get(target.key)
        if served is None:
            served = Served(target, Line(self._max_waiting), BatchSize(self._max_batch))
            self._models[target.key] = served
            self._forget()
        self._models.move_to_end(target.key)
        return served

    def get(self, key: str) -> Served | None:
        return self._models.get(key)

    def by_age(self) -> list[Served]:
        """Those with a line, the one whose head waits longest first."""
        waiting = [(oldest, served) for served in self if (oldest := served.line.oldest()) is not None]
        return [served for _, served in sorted(waiting, key=lambda pair: pair[0])]

    def _forget(self) -> None:
        for key, served in list(self._models.items())[: max(0, len(self._models) - _MOST)]:
            if not len(served.line) and not served.is_placing:
                del self._models[key]
