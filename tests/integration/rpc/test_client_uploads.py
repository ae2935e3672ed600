"""`client.datasets.upload` over connections that break, and from processes that are interrupted."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from support.pictures import a_data_folder
from support.rpc_server import RunningServer
from support.tcp_proxy import TcpProxy
from support.uploads import until
from typer.testing import CliRunner

from learnfleet.client import Client
from learnfleet.client.aio import AsyncClient
from learnfleet.client.cli.main import build_app
from learnfleet.client.errors import InvalidArgumentError
from learnfleet.client.packing import pack
from learnfleet.client.uploading import OnProgress, Sending, Uploader

MEGABYTE = 2**20


@pytest.fixture
def proxy(server: RunningServer) -> Iterator[TcpProxy]:
    made = TcpProxy(server.address)
    yield made
    made.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """40 MB in 8 files, one of them small."""
    made = tmp_path / "large"
    (made / "cat").mkdir(parents=True)
    for number in range(8):
        block = bytes([number]) * 1000 + bytes(range(256)) * 4
        (made / "cat" / f"{number}.bin").write_bytes(block * (2500 if number else 1))
    return made


def content_of(server: RunningServer, dataset_id: str = "large") -> dict[str, bytes]:
    folder = Path(server.store.get_version(dataset_id, None, None).path)
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def content_here(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def received(server: RunningServer) -> int:
    return sum(path.stat().st_size for path in (server.config.data_dir / "uploads").glob("*"))


def test_an_upload_survives_connections_that_break(server: RunningServer, proxy: TcpProxy, folder: Path) -> None:
    breaks = 0
    done = threading.Event()

    def break_often() -> None:
        nonlocal breaks
        for megabytes in (3, 9, 17, 29):
            wait_for(megabytes * MEGABYTE)
            breaks += bool(proxy.reset())

    def wait_for(size_bytes: int) -> None:
        until(lambda: received(server), lambda size: size > size_bytes or done.is_set())

    breaking = threading.Thread(target=break_often)
    breaking.start()
    try:
        with Client.connect(proxy.address) as client:
            version = client.datasets.upload(folder, "large", wait=False).version
    finally:
        done.set()
        breaking.join()
    assert breaks >= 2
    assert version.files == 8
    assert content_of(server) == content_here(folder)


def test_an_upload_of_the_asyncio_client_goes_on_after_a_break_and_after_its_task_was_cancelled(
    server: RunningServer, proxy: TcpProxy, folder: Path
) -> None:
    async def upload() -> str:
        async with AsyncClient.connect(proxy.address) as client:
            first = asyncio.create_task(client.datasets.upload(folder, "large", wait=False))
            await asyncio.to_thread(until, lambda: received(server), lambda size: size > 4 * MEGABYTE)
            first.cancel()
            with pytest.raises(asyncio.CancelledError):
                await first
            again = asyncio.create_task(client.datasets.upload(folder, "large", wait=False))
            await asyncio.to_thread(until, lambda: received(server), lambda size: size > 9 * MEGABYTE)
            proxy.reset()
            return (await again).version.name

    assert asyncio.run(upload()) == "datasets/large/versions/1"
    assert content_of(server) == content_here(folder)


UPLOAD = """
import signal, sys
from learnfleet.client import Client
signal.signal(signal.SIGINT, signal.default_int_handler)  # tests in the background are started with it ignored
with Client.connect(sys.argv[1]) as client:
    print(client.datasets.upload(sys.argv[2], "large", wait=False).version.name)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_second_call_goes_on_where_an_interrupted_one_stopped(
    number: signal.Signals, server: RunningServer, folder: Path
) -> None:
    command = [sys.executable, "-c", UPLOAD, server.address, str(folder)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    first = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    until(lambda: received(server), lambda size: size > 4 * MEGABYTE)
    first.send_signal(number)
    assert first.wait(30) != 0
    uploads = until(lambda: server.store.stale_uploads(far_future()), lambda found: found[0].received_bytes > 0)
    assert 0 < uploads[0].received_bytes < 40 * MEGABYTE
    again = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert again.stdout.strip() == "datasets/large/versions/1"
    assert content_of(server) == content_here(folder)
    assert server.store.stale_uploads(far_future()) == []


def far_future() -> datetime:
    return datetime(2100, 1, 1, tzinfo=UTC)


def uploader_of(client: Client, folder: Path, on_progress: OnProgress) -> Uploader:
    return Uploader(client._connection, Sending(pack(folder), "large", on_progress, retry_s=10))


def test_a_folder_that_was_uploaded_is_not_sent_again(server: RunningServer, proxy: TcpProxy, folder: Path) -> None:
    with Client.connect(server.address) as client:
        first = client.datasets.upload(folder, "large", wait=False)
        sent: list[int] = []
        uploader = uploader_of(client, folder, lambda done, *, reading: sent.append(done))
        assert uploader.run().versions[0].name == first.version.name
    assert sent == []


def test_a_file_that_changes_meanwhile_is_named(server: RunningServer, folder: Path) -> None:
    def change(done: int, *, reading: bool) -> None:
        (folder / "cat" / "7.bin").write_bytes(b"changed")

    with Client.connect(server.address) as client:
        uploader = uploader_of(client, folder, change)
        with pytest.raises(ValueError, match=r"7\.bin has changed"):
            uploader.run()
        assert client.datasets.upload(folder, "large", wait=False).version.files == 8


def test_archives_are_uploaded_as_they_are(server: RunningServer, tmp_path: Path) -> None:
    (tmp_path / "pets" / "cat").mkdir(parents=True)
    (tmp_path / "pets" / "cat" / "1.txt").write_text("one")
    with Client.connect(server.address) as client:
        for kind in ("tar", "gztar", "zip"):
            archive = shutil.make_archive(str(tmp_path / f"of-{kind}"), kind, tmp_path / "pets")
            assert client.datasets.upload(archive, "pets", wait=False).version.name == "datasets/pets/versions/1"
        (tmp_path / "broken.zip").write_bytes(b"no archive")
        with pytest.raises(InvalidArgumentError, match="no whole zip archive"):
            client.datasets.upload(tmp_path / "broken.zip", "pets")


def test_a_bar_shows_bytes_rate_and_time(
    server: RunningServer, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Client.connect(server.address) as client:
        client.datasets.upload(folder, "large", wait=False, progress=True)
    shown = capsys.readouterr().err
    assert "large" in shown
    assert "MB" in shown


def test_the_command_line_uploads_lists_shows_and_deletes(server: RunningServer, tmp_path: Path) -> None:
    a_data_folder(tmp_path / "pets", classes=("cat", "dog"))

    def run(*arguments: str, code: int = 0) -> str:
        done = CliRunner().invoke(build_app(), ["dataset", *arguments, "--server", server.address])
        assert done.exit_code == code, done.output
        return done.output

    assert "datasets/pets/versions/1: 18 files" in run("upload", str(tmp_path / "pets"), "--name", "pets")
    assert "datasets/pets" in run("list")
    shown = run("show", "datasets/pets")
    assert all(word in shown for word in ("cat", "dog", "train", "READY", "18 PNG"))
    listed = json.loads(run("list", "--json"))
    assert listed["versions"][0]["summary"]["classes"] == {"cat": 9, "dog": 9}
    assert "uri:" in run("register", "/etc", code=2)
    run("delete", "datasets/pets")
    run("show", "datasets/pets", code=3)
