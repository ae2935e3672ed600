"""A stream that ends before a stranger's archive can fill memory or disk."""

from __future__ import annotations

from typing import IO

from learnfleet.server.data.errors import BadContent

_SKIP_BYTES = 2**18
_BLOCK = b"\0" * 512  # what a tar archive ends with
_HEADER_BYTES = 2**20


class BoundedReader:
    """Reads `content` for tarfile: forwards only, so many bytes in all, and so many for the headers of one member.

    tarfile keeps a member's extended headers in memory, however large, and reads on until it has them all.
    """

    def __init__(self, content: IO[bytes], max_bytes: int, *, can_skip: bool) -> None:
        self._content, self._left, self._can_skip = content, max_bytes, can_skip
        self._place = 0
        self._header_left: int | None = _HEADER_BYTES
        self._last = b""

    @property
    def ended_with_zeros(self) -> bool:
        """Whether the last that was read marks the end of an archive."""
        return self._last == _BLOCK

    def begin_header(self) -> None:
        """What is read from here on are a member's headers."""
        self._header_left = _HEADER_BYTES

    def begin_content(self) -> None:
        """What is read from here on is a member's content."""
        self._header_left = None

    def read(self, size: int = -1) -> bytes:
        if self._header_left is not None:
            if not 0 <= size <= self._header_left:
                raise BadContent("has a member with more than a megabyte of headers")
            self._header_left -= size
        self._last = self._counted(self._content.read(size))
        return self._last

    def tell(self) -> int:
        return self._place

    def seek(self, place: int) -> int:
        """Forwards. Raises BadContent backwards: only a forged archive goes there."""
        if place < self._place:
            raise BadContent("has members that overlap")
        if self._can_skip:
            self._place = self._content.seek(place)
        while self._place < place and self._counted(self._content.read(min(_SKIP_BYTES, place - self._place))):
            pass
        return self._place

    def _counted(self, part: bytes) -> bytes:
        self._place += len(part)
        self._left -= len(part)
        if self._left < 0:
            raise BadContent("unpacks to more than data sets may have, or than it can honestly have")
        return part
