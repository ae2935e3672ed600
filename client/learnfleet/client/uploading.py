"""Sending an upload: from where an earlier call stopped, over connections that break."""

from __future__ import annotations

import hashlib
import json
import time
import uuid
import zlib
from collections.abc import Iterator
from typing import Protocol

import grpc

from learnfleet.client.connection import Connection
from learnfleet.client.errors import NotFoundError, from_rpc
from learnfleet.client.packing import Packed
from learnfleet.client.patience import may_pass, pauses
from learnfleet.v1 import dataset_service_pb2 as pb

_NAMESPACE = uuid.UUID("2b0b9c1e-6f2c-4f0b-9a53-0b6f5f1c7a11")  # of upload ids; only has to stay what it is
_FORMATS = {
    "tar": pb.ARCHIVE_FORMAT_TAR,
    "tar.gz": pb.ARCHIVE_FORMAT_TAR_GZ,
    "zip": pb.ARCHIVE_FORMAT_ZIP,
}


class OnProgress(Protocol):
    """Hears how many bytes are done, and whether they are read here (`reading`) or sent."""

    def __call__(self, done_bytes: int, *, reading: bool) -> None: ...


class Sending:
    """What one upload sends: the content of one place for one data set. Its id follows from both, so a later process
    goes on with it. Reads files, and blocks while it does.
    """

    def __init__(self, packed: Packed, dataset_id: str, on_progress: OnProgress, retry_s: float) -> None:
        """`retry_s`: how long a lost server is tried again."""
        self._packed, self._dataset_id, self._on_progress, self._retry_s = packed, dataset_id, on_progress, retry_s
        self.upload_id = str(uuid.uuid5(_NAMESPACE, json.dumps([dataset_id, packed.packing, packed.described()])))
        self._digest, self._hashed = hashlib.sha256(), 0
        self._error: Exception | None = None  # of reading, in the thread that sends
        self._last_progress_s, self._pauses = time.monotonic(), pauses()

    def request(self) -> pb.GetUploadRequest:
        """Asks how much of it the server has."""
        return pb.GetUploadRequest(upload_id=self.upload_id)

    def pause_after(self, error: grpc.RpcError) -> float:
        """Seconds to wait before the rest is sent again. Raises what is wrong if it is not to be."""
        if self._error is not None:
            raise self._error from None
        silent_s = time.monotonic() - self._last_progress_s
        if not may_pass(error) or silent_s > self._retry_s:
            raise from_rpc(error) from None
        return next(self._pauses)

    def messages(self, received: int | None) -> Iterator[pb.CreateDatasetRequest]:
        """What the server lacks. `received`: how much it has; None: all, and it has made a version of it."""
        header = pb.UploadHeader(
            dataset_id=self._dataset_id,
            upload_id=self.upload_id,
            size_bytes=self._packed.size_bytes,
            format=_FORMATS[self._packed.packing],
        )
        yield pb.CreateDatasetRequest(header=header)
        if received is None:
            return
        try:
            yield from self._chunks(received)
        except (ValueError, OSError) as error:
            self._error = error  # gRPC would only say that the iterator failed

    def _chunks(self, offset: int) -> Iterator[pb.CreateDatasetRequest]:
        for piece in self._packed.read(offset):
            self._hash(offset, piece)
            chunk = pb.Chunk(offset=offset, data=piece, crc32=zlib.crc32(piece))
            offset += len(piece)
            if offset == self._packed.size_bytes:
                chunk.sha256 = self._digest.hexdigest()
            yield pb.CreateDatasetRequest(chunk=chunk)
            self._last_progress_s = time.monotonic()
            self._on_progress(offset, reading=False)

    def catch_up(self, received: int | None) -> None:
        """Before `messages`: read again what an earlier call has sent, as the hash is of the whole."""
        place, offset = self._hashed, received or 0
        if place >= offset:
            return
        for piece in self._packed.read(place):
            self._hash(place, piece[: offset - place])
            place += len(piece)
            self._on_progress(min(place, offset), reading=True)
            if place >= offset:
                return

    def _hash(self, offset: int, piece: bytes) -> None:
        """What has been hashed already is sent again after a break, and counts once."""
        new = piece[max(self._hashed - offset, 0) :]
        self._digest.update(new)
        self._hashed += len(new)


class Uploader:
    """Sends it, over connections that break."""

    def __init__(self, connection: Connection, sending: Sending) -> None:
        self._connection, self._sending = connection, sending

    def run(self) -> pb.Dataset:
        """Until the server has made a version of it. Waits for a lost server, as long as the connection says.

        Raises this package's errors, and ValueError or OSError for what is wrong with the files here.
        """
        while True:
            try:
                return self._send()
            except grpc.RpcError as error:
                pause_s = self._sending.pause_after(error)
            time.sleep(pause_s)

    def _send(self) -> pb.Dataset:
        received = self._received()
        self._sending.catch_up(received)
        call = self._connection.datasets.CreateDataset.future(self._sending.messages(received))
        try:
            answer: pb.Dataset = call.result()
        except BaseException:  # Ctrl-C among them: what has been sent stays there for the next call
            call.cancel()
            raise
        return answer

    def _received(self) -> int | None:
        try:
            return received_of(self._connection.call(self._connection.datasets.GetUpload, self._sending.request()))
        except NotFoundError:
            return 0


def received_of(upload: pb.Upload) -> int | None:
    """How much of an upload the server has; None: all, and it has made a version of it."""
    return None if upload.version else upload.received_bytes
