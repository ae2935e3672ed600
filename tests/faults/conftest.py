"""Control servers whose workers outlive them, and one learner that all faults disturb."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.faults.campaign import Disturbed, prepare
from support.faults.hungry_plugin import install
from support.faults.servers import DisturbedServer, LightWorkers, RayNode

from learnfleet.server.commands.digits import write_digits

SMALL_DISK_MB = 192  # a few checkpoints of 15 MB


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root with `digits`: 150 scans in train/valid folders."""
    root = tmp_path_factory.mktemp("pictures")
    write_digits(root / "digits", limit=150)
    return root


@pytest.fixture(scope="session")
def small_disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A file system of its own."""
    folder = tmp_path_factory.mktemp("small-disk")
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SMALL_DISK_MB}m", "tmpfs", str(folder)], check=True)
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture(scope="session")
def head(small_disk: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RayNode]:
    """After the disk: a node's namespace sees what was mounted before it."""
    folder = tmp_path_factory.mktemp("ray")
    node = RayNode(folder, plugins=install(folder / "plugins"))
    node.start()
    yield node
    node.end()


@pytest.fixture(scope="session")
def disturbed(head: RayNode, pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Disturbed]:
    """With real workers on a Ray of its own."""
    options = ("--ray-address", head.head_address, "--hang-timeout-s", "15")
    server = DisturbedServer(tmp_path_factory.mktemp("server"), pictures, options, head.environment)
    server.start()
    yield Disturbed(server, head.train_workers, prepare(server))
    server.stop()


@pytest.fixture(scope="session")
def lightly_disturbed(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Disturbed]:
    """With workers that are real in all but that they do not train."""
    workers = LightWorkers()
    server = DisturbedServer(tmp_path_factory.mktemp("light"), pictures, workers.options, workers.environment)
    server.start()
    yield Disturbed(server, workers.train_workers, prepare(server), is_light=True)
    server.stop()
    workers.end()
