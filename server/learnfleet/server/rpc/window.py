"""How much of a stream may be worked on at a time."""

from __future__ import annotations

import asyncio


class Window:
    """So many items, and so many bytes; one item of any size has room in an empty one. For one event loop."""

    def __init__(self, most: int, most_bytes: int) -> None:
        self._most, self._most_bytes = most, most_bytes
        self._count = self._bytes = 0
        self._room = asyncio.Event()

    async def enter(self, size: int) -> None:
        """Wait for room. By one task at a time."""
        while self._count and (self._count >= self._most or self._bytes + size > self._most_bytes):
            self._room.clear()
            await self._room.wait()
        self._count += 1
        self._bytes += size

    def leave(self, size: int) -> None:
        self._count -= 1
        self._bytes -= size
        self._room.set()
