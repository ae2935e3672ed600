"""Data sets that lie on other storages: what fsspec keeps in memory, and S3, as a server of its own answers for it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest
from support.rpc_server import RunningServer, running_server
from support.uploads import pets

from learnfleet.client import Client
from learnfleet.client.errors import InvalidArgumentError

FOLDER = "lab/sets/animals"


@pytest.fixture(scope="module")
def s3_address() -> Iterator[str]:
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(params=["memory", "s3"])
def storage(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A file system of fsspec with pictures, a hidden file and what marks a folder."""
    if request.param == "s3":
        monkeypatch.setenv("AWS_ENDPOINT_URL", request.getfixturevalue("s3_address"))
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.setenv(name, "test")
        monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    files = fsspec.filesystem(request.param, skip_instance_cache=True)  # somebody else's, not the server's
    files.mkdirs("lab", exist_ok=True)
    for name, content in {**pets(), ".hidden/x": b"x"}.items():
        files.pipe(f"{FOLDER}/{name}", content)
    if request.param == "s3":
        bucket, _, folder = FOLDER.partition("/")
        files.call_s3("put_object", Bucket=bucket, Key=f"{folder}/cat/", Body=b"")
    yield files
    files.rm("lab", recursive=True)
    type(files).clear_instance_cache()


@pytest.fixture
def url(storage: Any) -> str:
    protocol = storage.protocol if isinstance(storage.protocol, str) else storage.protocol[0]
    return f"{protocol}://lab/sets"


@pytest.fixture
def server(tmp_path: Path, root: Path, url: str) -> Iterator[RunningServer]:
    with running_server(tmp_path, root, data_roots=(root, url)) as running:
        yield running


@pytest.fixture
def client(server: RunningServer) -> Iterator[Client]:
    with Client.connect(server.address) as connected:
        yield connected


def files_of(server: RunningServer, version: int) -> dict[str, bytes]:
    folder = Path(server.store.get_version("animals", version, None).path)
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_what_lies_on_another_storage_is_copied_and_then_needs_it_no_more(
    server: RunningServer, client: Client, storage: Any, url: str
) -> None:
    version = client.datasets.register(f"{url}/animals", "animals").version
    assert (version.name, version.source_uri) == ("datasets/animals/versions/1", f"{url}/animals")
    storage.pipe(f"{FOLDER}/cat/new.png", b"broken")
    assert client.datasets.register(f"{url}/animals", "animals").version.name == "datasets/animals/versions/2"
    storage.rm(FOLDER, recursive=True)
    assert files_of(server, 1) == pets()
    assert files_of(server, 2) == {**pets(), "cat/new.png": b"broken"}


@pytest.mark.parametrize("name", ["nothing", "animals/nothing", "../other"])
def test_what_is_not_there_or_not_beneath_the_root_is_refused(client: Client, url: str, name: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        client.datasets.register(f"{url}/{name}")
    assert [violation.field for violation in caught.value.violations] == ["uri"]
