"""Two servers that would work on one SQLite store: only one does, wherever their data directories are."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from learnfleet.server.commands.local_server import LocalServer, local_server


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    folder = tmp_path_factory.mktemp("lone")
    (folder / "store").mkdir()
    store = ("--store", f"sqlite:///{folder / 'store' / 'jobs.db'}")
    with local_server(folder / "first", [], folder / "first.log", options=store) as server:
        yield server


def _refused(server: LocalServer, *arguments: str) -> str:
    """What a command says that ends at once, in the folder with `first` and `store`."""
    command = [str(Path(sys.executable).with_name("learnfleet")), *arguments]
    done = subprocess.run(command, cwd=server.log.parent, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert server.process.poll() is None
    return done.stderr


@pytest.mark.parametrize("path", ["store/jobs.db", "first/../store/jobs.db", "other-name.db"])
def test_a_second_server_on_the_store_does_not_start_from_a_data_directory_of_its_own(
    first: LocalServer, path: str
) -> None:
    link = first.log.parent / "other-name.db"
    link.unlink(missing_ok=True)
    link.symlink_to(Path("store", "jobs.db"))
    said = _refused(first, "serve", "--data-dir", "second", "--store", f"sqlite:///{path}", "--listen", "127.0.0.1:0")
    assert f"another server works on {path}; stop it, or choose another --store" in said


def test_a_second_server_in_the_data_directory_does_not_start_on_a_store_of_its_own(first: LocalServer) -> None:
    said = _refused(first, "serve", "--data-dir", "first", "--listen", "127.0.0.1:0")
    assert f"another server works in {first.log.parent / 'first'}; stop it, or choose another --data-dir" in said


@pytest.mark.parametrize("command", [("restore", "--replace", "any.gz"), ("migrate", "--to", "0002")])
def test_what_needs_the_store_for_itself_is_refused_from_another_data_directory(
    first: LocalServer, command: tuple[str, ...]
) -> None:
    said = _refused(first, *command, "--data-dir", "second", "--store", "sqlite:///store/jobs.db")
    assert "error: another server works on store/jobs.db" in said


def test_when_it_is_gone_another_works_on_the_store(first: LocalServer) -> None:
    """However it went: the last of these tests."""
    first.process.kill()
    first.process.wait()
    folder = first.log.parent
    store = ("--store", f"sqlite:///{folder / 'store' / 'jobs.db'}")
    with local_server(folder / "second", [], folder / "second.log", options=store) as second:
        assert second.process.poll() is None
