"""Uploads over a real connection: whole, broken off, damaged, too large, hostile."""

from __future__ import annotations

import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import grpc
import pytest
from support.rpc_server import RunningServer, refusal, running_server
from support.uploads import a_chunk, a_header, archive_bytes, chunks, pets, until

from learnfleet.server.rpc import datasets, handlers
from learnfleet.server.store.sql import SqlStore
from learnfleet.v1 import dataset_service_pb2 as pb

CONTENT = archive_bytes(pets())


def send(server: RunningServer, *messages: pb.CreateDatasetRequest, timeout: float | None = 60) -> pb.Dataset:
    return server.datasets.CreateDataset(iter(messages), timeout=timeout)


def files_of(server: RunningServer, version: int | None = None) -> dict[str, bytes]:
    folder = Path(server.store.get_version("pets", version, None).path)
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def left_in(server: RunningServer) -> list[str]:
    """What uploads and versions in the making have left in the data directory."""
    places = (server.config.data_dir / "uploads", server.config.data_dir / "datasets" / ".new")
    return [path.name for place in places if place.exists() for path in place.iterdir()]


def test_an_upload_becomes_a_version_with_its_files(server: RunningServer) -> None:
    answer = send(server, a_header(CONTENT), *chunks(CONTENT))
    (version,) = answer.versions
    assert (answer.name, version.name) == ("datasets/pets", "datasets/pets/versions/1")
    assert files_of(server) == pets()
    assert (version.files, version.size_bytes) == (6, sum(map(len, pets().values())))
    assert version.source_uri == ""
    assert left_in(server) == []


def test_other_content_is_the_next_version_and_the_same_content_the_one_that_is_there(server: RunningServer) -> None:
    more = archive_bytes(pets(4))
    names = [send(server, a_header(c), *chunks(c)).versions[0].name for c in (CONTENT, more, CONTENT)]
    assert names == ["datasets/pets/versions/1", "datasets/pets/versions/2", "datasets/pets/versions/1"]
    assert files_of(server, 1) == pets()
    assert left_in(server) == []
    assert len([path for path in (server.config.data_dir / "datasets" / "pets").iterdir() if path.is_dir()]) == 2


def test_the_hash_may_come_with_the_last_chunk_and_the_name_from_the_server(server: RunningServer) -> None:
    sha256 = a_header(CONTENT).header.sha256
    *first, last = chunks(CONTENT)
    last.chunk.sha256 = sha256
    answer = send(server, a_header(CONTENT, sha256="", dataset_id=""), *first, last)
    assert answer.versions[0].files == 6
    assert "chunk.sha256" in refusal(lambda: send(server, a_header(CONTENT, sha256=""), *chunks(CONTENT))).fields


def broken_off(server: RunningServer, header: pb.CreateDatasetRequest, content: bytes, at: int) -> pb.Upload:
    """The connection is cut when so many bytes were sent; the upload as the server then has it."""
    sent: list[int] = []
    channel = grpc.insecure_channel(server.address)

    def messages() -> Iterator[pb.CreateDatasetRequest]:
        yield header
        for message in chunks(content, 0, at):
            sent.append(message.chunk.offset + len(message.chunk.data))
            yield message
        # Wait for the server to have them all, then break off without a word.
        until(lambda: size_of(server, header), lambda size: size >= sent[-1])
        channel.close()

    from learnfleet.v1.dataset_service_pb2_grpc import DatasetServiceStub

    with pytest.raises((grpc.RpcError, ValueError)):
        DatasetServiceStub(channel).CreateDataset(messages())
    request = pb.GetUploadRequest(upload_id=header.header.upload_id)
    return until(lambda: server.datasets.GetUpload(request), lambda upload: upload.received_bytes > 0)


def size_of(server: RunningServer, header: pb.CreateDatasetRequest) -> int:
    """Of what has been written of an upload."""
    place = server.config.data_dir / "uploads" / header.header.upload_id
    return place.stat().st_size if place.exists() else 0


def test_an_upload_that_broke_off_goes_on_where_it_was(server: RunningServer) -> None:
    header = a_header(CONTENT)
    upload = broken_off(server, header, CONTENT, 5000)
    assert 0 < upload.received_bytes <= 5000
    assert (upload.size_bytes, upload.dataset) == (len(CONTENT), "datasets/pets")
    assert upload.expire_time.seconds > 0
    send(server, header, *chunks(CONTENT, upload.received_bytes))
    assert files_of(server) == pets()


def test_whoever_ends_before_the_end_is_told_how_much_is_missing(server: RunningServer) -> None:
    header = a_header(CONTENT)
    told = refusal(lambda: send(server, header, *chunks(CONTENT, 0, 3000)))
    assert told.code is grpc.StatusCode.FAILED_PRECONDITION
    assert "3,000 of" in told.message
    send(server, header, *chunks(CONTENT, 3000))
    assert files_of(server) == pets()


def test_a_chunk_that_was_sent_before_does_no_harm(server: RunningServer) -> None:
    header = a_header(CONTENT)
    refusal(lambda: send(server, header, *chunks(CONTENT, 0, 5000)))
    send(server, header, *chunks(CONTENT, 2000))
    assert files_of(server) == pets()


def test_an_answer_that_was_lost_is_given_again_for_the_header_alone(server: RunningServer) -> None:
    header = a_header(CONTENT)
    first = send(server, header, *chunks(CONTENT))
    assert send(server, header).versions[0].name == first.versions[0].name
    upload = server.datasets.GetUpload(pb.GetUploadRequest(upload_id=header.header.upload_id))
    assert upload.version == first.versions[0].name


WRONG: list[tuple[Callable[[], list[pb.CreateDatasetRequest]], str]] = [
    (list, "header"),
    (lambda: [a_chunk(0, b"x")], "header"),
    (lambda: [a_header(CONTENT), a_header(CONTENT)], "chunk"),
    (lambda: [a_header(CONTENT), pb.CreateDatasetRequest()], "chunk"),
    (lambda: [a_header(CONTENT, upload_id="")], "header.upload_id"),
    (lambda: [a_header(CONTENT, upload_id="../../etc/passwd")], "header.upload_id"),
    (lambda: [a_header(CONTENT, dataset_id="../pets")], "header.dataset_id"),
    (lambda: [a_header(CONTENT, dataset_id="Pets")], "header.dataset_id"),
    (lambda: [a_header(CONTENT, size_bytes=0)], "header.size_bytes"),
    (lambda: [a_header(CONTENT, size_bytes=-1)], "header.size_bytes"),
    (lambda: [a_header(CONTENT, sha256="abc")], "header.sha256"),
    (lambda: [a_header(CONTENT, format=0)], "header.format"),
    (lambda: [a_header(CONTENT, format=77)], "header.format"),
    (lambda: [a_header(CONTENT), a_chunk(500, CONTENT[:100])], "chunk.offset"),
    (lambda: [a_header(CONTENT), a_chunk(-1, CONTENT[:100])], "chunk.offset"),
    (lambda: [a_header(CONTENT), a_chunk(0, CONTENT[:100], crc32=1)], "chunk.crc32"),
    (lambda: [a_header(CONTENT), a_chunk(0, bytes(2**20 + 1))], "chunk.data"),
    (lambda: [a_header(CONTENT[:50]), a_chunk(0, CONTENT[:100])], "chunk.data"),
    (lambda: [a_header(CONTENT, sha256="0" * 64), *chunks(CONTENT)], "header.sha256"),
    (lambda: [a_header(b"no archive"), a_chunk(0, b"no archive")], "header.sha256"),
    (lambda: [a_header(CONTENT, format=pb.ARCHIVE_FORMAT_ZIP), *chunks(CONTENT)], "header.sha256"),
]


@pytest.mark.parametrize(("messages", "field"), WRONG)
def test_what_is_wrong_is_named_and_leaves_no_version(
    messages: Callable[[], list[pb.CreateDatasetRequest]], field: str, server: RunningServer
) -> None:
    told = refusal(lambda: send(server, *messages()))
    assert told.code is grpc.StatusCode.INVALID_ARGUMENT
    assert field in told.fields
    assert list(server.datasets.ListDatasets(pb.ListDatasetsRequest()).datasets) == []
    assert list((server.config.data_dir / "datasets").glob("*/*/*")) == []


def test_garbage_in_mid_stream_is_an_invalid_argument(server: RunningServer) -> None:
    call = server.channel.stream_unary("/learnfleet.v1.DatasetService/CreateDataset")
    told = refusal(lambda: call(iter([a_header(CONTENT).SerializeToString(), b"\xff\xff\xff garbage"])))
    assert told.code is grpc.StatusCode.INVALID_ARGUMENT


def test_a_hostile_archive_is_refused_and_forgotten(server: RunningServer) -> None:
    hostile = archive_bytes({"honest.txt": b"x", "../../planted.txt": b"x"})
    header = a_header(hostile)
    assert "'../../planted.txt' leads out" in refusal(lambda: send(server, header, *chunks(hostile))).message
    assert left_in(server) == []
    told = refusal(lambda: server.datasets.GetUpload(pb.GetUploadRequest(upload_id=header.header.upload_id)))
    assert told.code is grpc.StatusCode.NOT_FOUND


def test_an_upload_id_of_other_content_is_taken(server: RunningServer) -> None:
    header = a_header(CONTENT)
    refusal(lambda: send(server, header, *chunks(CONTENT, 0, 1000)))
    other = a_header(CONTENT, upload_id=header.header.upload_id, size_bytes=77)
    assert refusal(lambda: send(server, other)).code is grpc.StatusCode.ALREADY_EXISTS


def test_uploads_and_data_sets_of_others_are_not_there(server: RunningServer) -> None:
    header, as_them = a_header(CONTENT), (("learnfleet-tenant", "them"),)
    refusal(lambda: send(server, header, *chunks(CONTENT, 0, 1000)))
    upload = pb.GetUploadRequest(upload_id=header.header.upload_id)
    assert refusal(lambda: server.datasets.GetUpload(upload, metadata=as_them)).code is grpc.StatusCode.NOT_FOUND
    send(server, header, *chunks(CONTENT, 1000))
    for call in (
        lambda: server.datasets.GetDataset(pb.GetDatasetRequest(name="datasets/pets"), metadata=as_them),
        lambda: server.datasets.DeleteDataset(pb.DeleteDatasetRequest(name="datasets/pets"), metadata=as_them),
    ):
        assert refusal(call).code is grpc.StatusCode.NOT_FOUND
    assert list(server.datasets.ListDatasets(pb.ListDatasetsRequest(), metadata=as_them).datasets) == []


def test_more_than_the_server_takes_is_refused_before_a_byte_is_sent(tmp_path: Path, root: Path) -> None:
    with running_server(tmp_path, root, upload_max_bytes=1000) as server:
        told = refusal(lambda: send(server, a_header(CONTENT)))
    assert told.code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "1,000" in told.message


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


def test_a_sender_that_falls_silent_is_given_up_and_may_go_on(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handlers, "_SILENCE_S", 0.5)
    header, go_on = a_header(CONTENT), threading.Event()

    def messages() -> Iterator[pb.CreateDatasetRequest]:
        yield header
        yield from chunks(CONTENT, 0, 3000)
        go_on.wait(60)

    told = refusal(lambda: server.datasets.CreateDataset(messages()))
    go_on.set()
    assert told.code is grpc.StatusCode.DEADLINE_EXCEEDED
    send(server, header, *chunks(CONTENT, 3000))
    assert files_of(server) == pets()


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
