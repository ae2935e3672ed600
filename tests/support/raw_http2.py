"""A client of HTTP/2 that does what gRPC's would not: frames over a socket."""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_SETTINGS, _PING, _GOAWAY, _ACK = 0x4, 0x6, 0x7, 0x1
NO_ERROR, ENHANCE_YOUR_CALM = 0x0, 0xB
_MAX_CONCURRENT_STREAMS = 0x3


@dataclass(frozen=True)
class GoAway:
    """How a server ends a connection."""

    error: int
    why: str


class RawConnection:
    """One connection, which answers what a client must, unless it is told not to."""

    def __init__(self, address: str, timeout_s: float, *, answers: bool) -> None:
        host, _, port = address.rpartition(":")
        self._socket = socket.create_connection((host, int(port)), timeout=timeout_s)
        self._socket.sendall(_PREFACE + _frame(_SETTINGS))
        self._answers = answers
        self.settings: dict[int, int] = {}

    @property
    def max_concurrent_streams(self) -> int:
        """As the server has said at the beginning."""
        while not self.settings:
            self._read()
        return self.settings[_MAX_CONCURRENT_STREAMS]

    def ping(self) -> None:
        with contextlib.suppress(OSError):  # it may have been cut off by now
            self._socket.sendall(_frame(_PING, b"12345678"))

    def wait_for_goaway(self) -> GoAway:
        """Raises TimeoutError, EOFError."""
        while (said := self._read()) is None:
            pass
        return said

    def wait_for_end(self) -> None:
        """Until the server has closed the connection. Raises TimeoutError."""
        with contextlib.suppress(EOFError, ConnectionError):
            while True:
                self._read()

    def close(self) -> None:
        self._socket.close()

    def _read(self) -> GoAway | None:
        """One frame."""
        head = self._exactly(9)
        size, kind, flags = int.from_bytes(head[:3]), head[3], head[4]
        body = self._exactly(size)
        if kind == _SETTINGS and not flags & _ACK:
            self.settings |= dict(struct.iter_unpack(">HI", body))
            self._answer(_frame(_SETTINGS, flags=_ACK))
        elif kind == _PING and not flags & _ACK:
            self._answer(_frame(_PING, body, _ACK))
        elif kind == _GOAWAY:
            return GoAway(struct.unpack(">I", body[4:8])[0], body[8:].decode())
        return None

    def _answer(self, frame: bytes) -> None:
        if self._answers:
            self._socket.sendall(frame)

    def _exactly(self, size: int) -> bytes:
        content = b""
        while len(content) < size:
            part = self._socket.recv(size - len(content))
            if not part:
                raise EOFError("the server has closed the connection")
            content += part
        return content


@contextlib.contextmanager
def raw_connection(address: str, *, answers: bool = True, timeout_s: float = 30.0) -> Iterator[RawConnection]:
    """Waits at most for so long for anything."""
    connection = RawConnection(address, timeout_s, answers=answers)
    try:
        yield connection
    finally:
        connection.close()


def _frame(kind: int, body: bytes = b"", flags: int = 0) -> bytes:
    return len(body).to_bytes(3) + bytes((kind, flags)) + bytes(4) + body
