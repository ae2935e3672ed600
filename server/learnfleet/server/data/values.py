"""Data sets, their versions and uploads as values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from learnfleet.server.domain import Json


class DatasetState(StrEnum):
    """Where a version stands. Its files are there from the beginning, so jobs may use a PENDING one."""

    PENDING = "pending"  # its pictures are being looked at
    READY = "ready"
    FAILED = "failed"  # they could not be looked at
    DELETED = "deleted"  # only the number is left, so that no other version ever gets it


@dataclass(frozen=True)
class DatasetVersion:
    """What a data set is since the version was made."""

    dataset_id: str
    version: int  # 1, 2, ...; 0: not in the store yet
    state: DatasetState
    reason: str
    source_uri: str  # as it was registered; empty: uploaded
    path: str  # folder of its files
    sha256: str  # `Manifest.sha256`
    files: int
    size_bytes: int
    created_at: datetime
    summary: Json | None = None  # as `Summary` in summary.py
    request_id: str | None = None  # or the id of the upload


@dataclass(frozen=True)
class Dataset:
    """A data set with its versions, newest first."""

    id: str
    tenant: str
    created_at: datetime
    updated_at: datetime
    versions: tuple[DatasetVersion, ...]


@dataclass(frozen=True)
class Upload:
    """An upload that is not whole yet, or whose content has not become a version yet."""

    id: str
    dataset_id: str
    tenant: str
    format: str  # a Packing
    size_bytes: int
    received_bytes: int  # durable
    created_at: datetime
    updated_at: datetime
    sha256: str | None = None  # None: comes with the last chunk
