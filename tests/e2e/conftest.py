"""A real server in a process of its own, with a Ray and an MLflow store of its own, shared by the tests here."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.ray_head import Head, ray_head

from learnfleet.client import Client
from learnfleet.server.commands.digits import write_digits
from learnfleet.server.commands.local_server import LocalServer, local_server

SHARED = Path(__file__).resolve().parents[2].parent / "shared"


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root with `digits`: 300 scans in train/valid folders."""
    root = tmp_path_factory.mktemp("pictures")
    write_digits(root / "digits", limit=300)
    return root


# Not of the session: its Ray, idle, takes a tenth of a core from all tests that come after these.
@pytest.fixture(scope="package")
def server(tmp_path_factory: pytest.TempPathFactory, pictures: Path) -> Iterator[LocalServer]:
    folder = tmp_path_factory.mktemp("server")
    with local_server(folder / "data", [pictures], folder / "server.log") as running:
        yield running


@pytest.fixture(scope="package")
def client(server: LocalServer) -> Iterator[Client]:
    with Client.connect(server.address) as connected:
        yield connected


@pytest.fixture
def head(tmp_path: Path) -> Iterator[Head]:
    with ray_head(tmp_path) as running:
        yield running
