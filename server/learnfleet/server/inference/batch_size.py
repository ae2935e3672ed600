"""How many items of a model are computed together, found out while it answers."""

from __future__ import annotations

_FIRST = 8
_GUESS_S = 0.05  # an item, before any was measured
_WEIGHT = 0.3  # of the newest measurement
_ENOUGH = 3  # measurements before a size is judged
_GAIN = 0.97  # a larger or smaller size must take less than this share of the time an item: noise is no gain
_LOOK_AGAIN = 200  # batches after which neighbours are measured anew


class BatchSize:
    """Climbs to the size that takes the least time an item: 1, 2, 4, ... up to `most`.

    Larger batches are not always faster: on a CPU a batch soon no longer fits its caches (resnet18 at 224 px: 40
    pictures/s by 8, 34 by 32). Only full batches are measured, so only what waits in line makes it try.
    """

    def __init__(self, most: int) -> None:
        self._sizes: list[int] = [1 << power for power in range(most.bit_length()) if 1 << power <= most]
        if self._sizes[-1] != most:
            self._sizes.append(most)
        self._at = max(place for place, size in enumerate(self._sizes) if size <= _FIRST)
        self._tried = self._at  # the size being measured
        self._cost_s: dict[int, float] = {}  # an item, by place
        self._count: dict[int, int] = {}
        self._since = 0

    def limit(self, waiting: int) -> int:
        """The most items that the next batch may have, of so many that wait.

        A larger size is tried only by as many as it takes: one that is never full is never measured.
        """
        tried = self._sizes[self._tried]
        return tried if tried <= waiting else self._sizes[self._at]

    def item_s(self) -> float:
        """Seconds that one item takes, of the size in use; a guess before it is known."""
        return self._cost_s.get(self._at, _GUESS_S)

    def record(self, size: int, infer_s: float) -> None:
        """A batch of so many items took so long."""
        if size not in self._sizes:
            return
        place = self._sizes.index(size)
        cost_s = infer_s / size
        known = self._cost_s.get(place)
        self._cost_s[place] = cost_s if known is None else known + _WEIGHT * (cost_s - known)
        self._count[place] = self._count.get(place, 0) + 1
        if place == self._tried:
            self._since += 1
            self._choose()

    def _choose(self) -> None:
        if self._count[self._tried] < _ENOUGH:
            return
        if self._tried != self._at and self._cost_s[self._tried] < _GAIN * self._cost_s[self._at]:
            self._at = self._tried
        self._tried = next((place for place in self._neighbours() if self._count.get(place, 0) < _ENOUGH), self._at)
        if self._since >= _LOOK_AGAIN:
            self._since = 0
            for place in self._neighbours():
                self._count[place] = 0
                self._cost_s.pop(place, None)

    def _neighbours(self) -> list[int]:
        return [place for place in (self._at - 1, self._at + 1) if 0 <= place < len(self._sizes)]
