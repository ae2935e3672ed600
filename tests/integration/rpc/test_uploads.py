"""Uploads over a real connection: whole, broken off, damaged, too large, hostile."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import grpc
import pytest
from support.rpc_server import RunningServer, refusal
from support.uploads import (
    CONTENT,
    a_chunk,
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

from learnfleet.v1 import dataset_service_pb2 as pb


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
