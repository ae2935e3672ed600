"""Rows of data sets as values, and back."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from learnfleet.server.data.values import Dataset, DatasetState, DatasetVersion, Upload
from learnfleet.server.store.rows import Row


def version_row(version: DatasetVersion, tenant: str, fingerprint: str) -> dict[str, Any]:
    return {
        **dataclasses.asdict(version),
        "tenant": tenant,
        "state": str(version.state),
        "summary": None if version.summary is None else json.dumps(version.summary),
        "created_at": version.created_at.isoformat(),
        "fingerprint": fingerprint,
    }


def version_of(row: Row) -> DatasetVersion:
    return DatasetVersion(
        dataset_id=row["dataset_id"],
        version=row["version"],
        state=DatasetState(row["state"]),
        reason=row["reason"],
        source_uri=row["source_uri"],
        path=row["path"],
        sha256=row["sha256"] or "",
        files=row["files"],
        size_bytes=row["size_bytes"],
        created_at=datetime.fromisoformat(row["created_at"]),
        summary=json.loads(row["summary"]) if row["summary"] else None,
        request_id=row["request_id"],
    )


def dataset_of(row: Row, versions: Iterable[DatasetVersion]) -> Dataset:
    created, updated = (datetime.fromisoformat(row[name]) for name in ("created_at", "updated_at"))
    return Dataset(row["id"], row["tenant"], created, updated, tuple(versions))


def upload_row(upload: Upload) -> dict[str, Any]:
    times = {"created_at": upload.created_at.isoformat(), "updated_at": upload.updated_at.isoformat()}
    return {**dataclasses.asdict(upload), **times}


def upload_of(row: Row) -> Upload:
    times = {name: datetime.fromisoformat(row[name]) for name in ("created_at", "updated_at")}
    return Upload(**{**row, **times})
