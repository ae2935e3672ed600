"""A connection carries a bounded number of streams, and says so."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from learnfleet.client import ResourceExhaustedError
from learnfleet.client.connection import Connection
from learnfleet.client.open_streams import MOST


class Call:
    """A stream that has one answer after the other."""

    def __iter__(self) -> Iterator[int]:
        yield from range(3)

    def cancel(self) -> None: ...


def test_a_stream_too_many_is_refused_until_another_one_ends() -> None:
    connection = Connection("127.0.0.1:1", timeout_s=1, retry_s=1)
    streams = [connection.stream(lambda _: Call(), None) for _ in range(MOST)]
    assert {next(stream) for stream in streams} == {0}
    with pytest.raises(ResourceExhaustedError, match="further Client"):
        next(connection.stream(lambda _: Call(), None))
    streams.pop().close()  # type: ignore[attr-defined]
    assert list(connection.stream(lambda _: Call(), None)) == [0, 1, 2]
    connection.close()
