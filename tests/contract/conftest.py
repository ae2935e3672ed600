"""Every store that there is, empty. New ones join by a line in `store_url`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.postgres import PostgresServer
from support.store_values import NOW

from learnfleet.server.store.base import Store
from learnfleet.server.store.sql import SqlStore


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Of an empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'store.db'}"
    server: PostgresServer = request.getfixturevalue("postgres")
    return server.new_schema()


@pytest.fixture
def opened(store_url: str) -> Callable[[], Store]:
    return lambda: SqlStore(store_url, lambda: NOW)


@pytest.fixture
def store(opened: Callable[[], Store]) -> Iterator[Store]:
    made = opened()
    yield made
    made.close()
