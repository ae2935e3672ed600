"""How many items of a model are computed together, found out while it answers."""

from __future__ import annotations

import statistics
from collections import deque

_FIRST = 8
_GUESS_S = 0.05  # an item, before any was measured
_KEPT = 7  # measurements of a size, the newest
_ENOUGH = 3  # before a size is judged
_GAIN = 0.97  # another size must take less than this share of the time an item: noise is no gain
_LOOK_AGAIN = 200  # batches after which neighbours are measured anew


class BatchSize:
    """Climbs to the size that takes the least time an item: 1, 2, 4, ... up to `most`.

    Larger batches are not always faster: on a CPU a batch soon no longer fits its caches (resnet18 at 224 px: 40
    pictures/s by 8, 34 by 32). Only full batches are measured, so only what waits in line makes it try. Sizes are
    judged by the median of their newest measurements: one slow batch says more of the machine than of its size.
    """

    def __init__(self, most: int) -> None:
        self._sizes: list[int] = [1 << power for power in range(most.bit_length()) if 1 << power <= most]
        if self._sizes[-1] != most:
            self._sizes.append(most)
        self._at = max(place for place, size in enumerate(self._sizes) if size <= _FIRST)
        self._tried = self._at  # the size being measured
        self._costs_s: dict[int, deque[float]] = {}  # an item, by place
        self._since = 0

    def limit(self, waiting: int) -> int:
        """The most items that the next batch may have, of so many that wait.

        A larger size is tried only by as many as it takes: one that is never full is never measured.
        """
        tried = self._sizes[self._tried]
        return tried if tried <= waiting else self._sizes[self._at]

    def item_s(self) -> float:
        """Seconds that one item takes, of the size in use; a guess before it is known."""
        return self._cost_s(self._at) if self._costs_s.get(self._at) else _GUESS_S

    def record(self, size: int, infer_s: float) -> None:
        """A batch of so many items took so long."""
        if size not in self._sizes:
            return
        place = self._sizes.index(size)
        self._costs_s.setdefault(place, deque(maxlen=_KEPT)).append(infer_s / size)
        if place in (self._at, self._tried):
            self._since += 1
            self._choose()

    def _choose(self) -> None:
        if not self._is_known(self._at):
            self._tried = self._at
            return
        for place in self._neighbours():
            if self._is_known(place) and self._cost_s(place) < _GAIN * self._cost_s(self._at):
                self._at = place
        if self._since >= _LOOK_AGAIN:
            self._since = 0
            for place in self._neighbours():
                self._costs_s.pop(place, None)
        self._tried = next((place for place in self._neighbours() if not self._is_known(place)), self._at)

    def _is_known(self, place: int) -> bool:
        return len(self._costs_s.get(place, ())) >= _ENOUGH

    def _cost_s(self, place: int) -> float:
        return statistics.median(self._costs_s[place])

    def _neighbours(self) -> list[int]:
        return [place for place in (self._at - 1, self._at + 1) if 0 <= place < len(self._sizes)]
