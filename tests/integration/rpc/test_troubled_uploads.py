"""Uploads that have it hard: no room, silence, rivals, lost answers."""

from __future__ import annotations

import shutil
import subprocess
import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import grpc
import pytest
from support.rpc_server import RunningServer, refusal, running_server
from support.uploads import (
    CONTENT,
    a_header,
    archive_bytes,
    chunks,
    files_of,
    left_in,
    pets,
    send,
    size_of,
    until,
)

from learnfleet.server.data import library
from learnfleet.server.rpc import datasets
from learnfleet.server.store.sql import SqlStore
from learnfleet.v1 import dataset_service_pb2 as pb


def test_more_than_the_server_takes_is_refused_before_a_byte_is_sent(tmp_path: Path, root: Path) -> None:
    with running_server(tmp_path, root, upload_max_bytes=1000) as server:
        told = refusal(lambda: send(server, a_header(CONTENT)))
    assert told.code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "1,000" in told.message


def test_a_tenant_has_no_more_uploads_on_their_way_than_it_may(tmp_path: Path, root: Path) -> None:
    with running_server(tmp_path, root, max_open_uploads=2) as server:
        begun = [a_header(CONTENT, upload_id=str(uuid.uuid4())) for _ in range(3)]
        for header in begun[:2]:
            assert refusal(lambda header=header: send(server, header)).code is grpc.StatusCode.FAILED_PRECONDITION
        told = refusal(lambda: send(server, begun[2]))
        assert (told.code, "2 uploads" in told.message) == (grpc.StatusCode.RESOURCE_EXHAUSTED, True)
        send(server, begun[0], *chunks(CONTENT))
        assert refusal(lambda: send(server, begun[2])).code is grpc.StatusCode.FAILED_PRECONDITION


def test_more_than_the_disk_has_room_for_is_refused_before_a_byte_is_sent(server: RunningServer) -> None:
    size = shutil.disk_usage(server.config.data_dir).free * 2
    with_room = min(size, 100 * 2**40)
    told = refusal(lambda: send(server, a_header(CONTENT, size_bytes=with_room)))
    assert told.code is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_two_connections_with_one_upload_do_each_other_no_harm(server: RunningServer) -> None:
    header = a_header(CONTENT)
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda size: send(server, header, *chunks(CONTENT, size=size)), (300, 700)))
    assert {answer.versions[0].name for answer in answers} == {"datasets/pets/versions/1"}
    assert files_of(server) == pets()
    assert left_in(server) == []


def test_an_answer_that_is_asked_for_again_while_it_is_worked_out_is_the_same(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on, real = threading.Event(), threading.Event(), library.unpack

    def slow_unpack(*arguments: object) -> None:
        begun.set()
        assert go_on.wait(60)
        real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(library, "unpack", slow_unpack)
    header = a_header(CONTENT)
    lost = server.datasets.CreateDataset.future(iter([header, *chunks(CONTENT)]))
    assert begun.wait(60)
    lost.cancel()
    again = server.datasets.CreateDataset.future(iter([header]))
    go_on.set()
    assert again.result(60).versions[0].name == "datasets/pets/versions/1"
    assert left_in(server) == []


def test_uploads_that_nothing_came_of_for_a_week_are_thrown_away(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    stale = a_header(CONTENT)
    refusal(lambda: send(server, stale, *chunks(CONTENT, 0, 3000)))
    monkeypatch.setattr(datasets, "UPLOAD_LIFE", timedelta(seconds=-60))
    refusal(lambda: send(server, a_header(CONTENT)))
    told = refusal(lambda: server.datasets.GetUpload(pb.GetUploadRequest(upload_id=stale.header.upload_id)))
    assert told.code is grpc.StatusCode.NOT_FOUND
    assert stale.header.upload_id not in left_in(server)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """4 MiB, for the data directory."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", folder], capture_output=True, check=False)
    if mount.returncode != 0:
        pytest.skip("no small disk can be mounted here (needs root)")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_a_disk_that_fills_up_is_told_and_the_upload_goes_on_when_there_is_room(
    small_disk: Path, root: Path, tmp_path: Path
) -> None:
    content = archive_bytes({"cat/large.bin": bytes(range(256)) * 4 * 1024})
    filler = small_disk / "data" / "filler"
    with running_server(small_disk, root, store=SqlStore(f"sqlite:///{tmp_path / 'store.db'}")) as server:
        header = a_header(content)
        refusal(lambda: send(server, header, *chunks(content, 0, 100_000, size=50_000)))

        def messages() -> Iterator[pb.CreateDatasetRequest]:
            yield header
            yield from chunks(content, 100_000, 200_000, size=50_000)
            until(lambda: size_of(server, header), lambda size: size >= 200_000)
            fill(filler)
            yield from chunks(content, 200_000, size=50_000)

        told = refusal(lambda: server.datasets.CreateDataset(messages()))
        assert told.code is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert "what has come is kept" in told.message
        filler.unlink()
        upload = server.datasets.GetUpload(pb.GetUploadRequest(upload_id=header.header.upload_id))
        assert upload.received_bytes >= 100_000
        send(server, header, *chunks(content, upload.received_bytes, size=50_000))
        assert files_of(server)["cat/large.bin"] == bytes(range(256)) * 4 * 1024


def fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            pass
