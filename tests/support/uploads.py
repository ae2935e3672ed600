"""Uploads as messages, honest and otherwise, and what becomes of them."""

from __future__ import annotations

import hashlib
import io
import tarfile
import time
import uuid
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TypeVar

from support.archives import add_to_tar
from support.pictures import encoded, picture
from support.rpc_server import RunningServer

from learnfleet.v1 import dataset_service_pb2 as pb

_T = TypeVar("_T")


def archive_bytes(files: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in files.items():
            add_to_tar(tar, name, content)
    return buffer.getvalue()


def pets(n: int = 3) -> dict[str, bytes]:
    """`n` pictures of each of two classes."""
    return {
        f"{kind}/{number}.png": encoded(picture(10 * number + offset))
        for offset, kind in enumerate(("cat", "dog"))
        for number in range(n)
    }


def a_header(content: bytes, **fields: object) -> pb.CreateDatasetRequest:
    values: dict[str, object] = {
        "dataset_id": "pets",
        "upload_id": str(uuid.uuid4()),
        "size_bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "format": pb.ARCHIVE_FORMAT_TAR,
    }
    return pb.CreateDatasetRequest(header=pb.UploadHeader(**{**values, **fields}))


def chunks(
    content: bytes, start: int = 0, end: int | None = None, size: int = 1000
) -> Iterator[pb.CreateDatasetRequest]:
    end = len(content) if end is None else end
    for offset in range(start, end, size):
        yield a_chunk(offset, content[offset : min(offset + size, end)])


def a_chunk(offset: int, data: bytes, **fields: object) -> pb.CreateDatasetRequest:
    values = {"offset": offset, "data": data, "crc32": zlib.crc32(data), **fields}
    return pb.CreateDatasetRequest(chunk=pb.Chunk(**values))


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


def size_of(server: RunningServer, header: pb.CreateDatasetRequest) -> int:
    """Of what has been written of an upload."""
    place = server.config.data_dir / "uploads" / header.header.upload_id
    return place.stat().st_size if place.exists() else 0


def until(ask: Callable[[], _T], is_so: Callable[[_T], bool], timeout_s: float = 60) -> _T:
    """What `ask` answers when it is so."""
    deadline = time.monotonic() + timeout_s
    while not is_so(answer := ask()):
        assert time.monotonic() < deadline, f"still {answer}"
        time.sleep(0.02)
    return answer
