"""What tests of several folders share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.postgres import PostgresServer


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL server; started when the first test wants it."""
    server = PostgresServer()
    server.start()
    yield server
    server.remove()
