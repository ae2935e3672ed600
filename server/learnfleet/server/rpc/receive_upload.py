"""An upload that comes in: checked piece by piece, and durable as far as its sender is told."""

from __future__ import annotations

import re
import zlib
from pathlib import Path

from learnfleet.server.data.unpack import Packing
from learnfleet.server.data.upload_file import UploadFile
from learnfleet.server.data.values import Upload
from learnfleet.server.errors import FieldViolation, InvalidArgument
from learnfleet.server.rpc.violations import Violations
from learnfleet.server.store.datasets import DatasetStore
from learnfleet.v1 import dataset_service_pb2 as pb

MAX_CHUNK_BYTES = 2**20
PACKINGS: dict[int, Packing] = {
    pb.ARCHIVE_FORMAT_TAR: Packing.TAR,
    pb.ARCHIVE_FORMAT_TAR_GZ: Packing.TAR_GZ,
    pb.ARCHIVE_FORMAT_ZIP: Packing.ZIP,
}
_FLUSH_EVERY_BYTES = 64 * 2**20
_SHA256 = re.compile(r"[0-9a-f]{64}")


class ReceivedUpload:
    """What one connection sends of an upload. All methods block."""

    def __init__(self, upload: Upload, path: Path, store: DatasetStore) -> None:
        """Raises NoRoom, OSError."""
        self._upload, self._store = upload, store
        self._file = UploadFile(path)
        self.received = upload.received_bytes
        self.sha256 = upload.sha256
        self._flushed = self.received

    @property
    def is_whole(self) -> bool:
        return self.received == self._upload.size_bytes

    def take(self, chunk: pb.Chunk) -> None:
        """Write it to its place. Raises InvalidArgument, NoRoom, OSError."""
        self._check(chunk)
        if chunk.sha256:
            self.sha256 = chunk.sha256
        self._file.write(chunk.offset, chunk.data)
        self.received = max(self.received, chunk.offset + len(chunk.data))
        if self.received - self._flushed >= _FLUSH_EVERY_BYTES:
            self.save()

    def save(self) -> None:
        """What has come so far need not be sent again. Raises NoRoom, OSError."""
        self._file.flush()
        self._store.advance_upload(self._upload.id, self.received, self.sha256)
        self._flushed = self.received

    def close(self) -> None:
        self._file.close()

    def _check(self, chunk: pb.Chunk) -> None:
        found = Violations()
        size, end = len(chunk.data), chunk.offset + len(chunk.data)
        found.check(size <= MAX_CHUNK_BYTES, "chunk.data", f"has {size:,} bytes; must have at most {MAX_CHUNK_BYTES:,}")
        right = f"is {chunk.offset:,}; {self.received:,} bytes are here, so it must be from 0 to that"
        found.check(0 <= chunk.offset <= self.received, "chunk.offset", right)
        whole = self._upload.size_bytes
        found.check(end <= whole, "chunk.data", f"ends at {end:,}, but header.size_bytes says {whole:,}")
        found.check(zlib.crc32(chunk.data) == chunk.crc32, "chunk.crc32", "is that of other bytes; send it again")
        if chunk.sha256:
            check_sha256(chunk.sha256, "chunk.sha256", found)
            found.check(self.sha256 in (None, chunk.sha256), "chunk.sha256", "is not what was said before")
        found.raise_if_any()


def check_sha256(value: str, field: str, found: Violations) -> None:
    found.check(bool(_SHA256.fullmatch(value)), field, f"'{value[:80]}' must be 64 hexadecimal digits in lower case")


def read_packing(number: int, field: str) -> Packing:
    """Raises InvalidArgument."""
    if number not in PACKINGS:
        raise InvalidArgument([FieldViolation(field, f"{number} must be TAR, TAR_GZ or ZIP")])
    return PACKINGS[number]
