"""Which models a replica holds: those asked last, as many as there are bytes for."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection


class Memory:
    """Counts bytes; the newest use is at the end."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._models: OrderedDict[str, int] = OrderedDict()

    def __contains__(self, key: str) -> bool:
        return key in self._models

    @property
    def keys(self) -> tuple[str, ...]:
        return tuple(self._models)

    @property
    def used_bytes(self) -> int:
        return sum(self._models.values())

    def size_of(self, key: str) -> int:
        return self._models[key]

    def add(self, key: str, size_bytes: int) -> None:
        self._models[key] = size_bytes
        self._models.move_to_end(key)

    def use(self, key: str) -> None:
        self._models.move_to_end(key)

    def remove(self, key: str) -> None:
        self._models.pop(key, None)

    def too_many(self, kept: Collection[str]) -> list[str]:
        """Those to be forgotten, longest unused first, until the rest fits. The newest stays, and `kept` do."""
        over = self.used_bytes - self._limit_bytes
        gone = []
        for key in self.keys[:-1]:
            if over <= 0:
                break
            if key not in kept:
                gone.append(key)
                over -= self._models[key]
        return gone
