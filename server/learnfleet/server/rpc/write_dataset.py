"""Data sets as protobuf."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from google.protobuf.timestamp_pb2 import Timestamp

from learnfleet.server import names
from learnfleet.server.data.values import Dataset, DatasetState, DatasetVersion, Upload
from learnfleet.server.domain import Json
from learnfleet.server.text import shortened
from learnfleet.v1 import dataset_service_pb2 as pb

UPLOAD_LIFE = timedelta(days=7)  # of one that nothing more comes of
_STATES = {
    DatasetState.PENDING: pb.DatasetVersion.STATE_PENDING,
    DatasetState.READY: pb.DatasetVersion.STATE_READY,
    DatasetState.FAILED: pb.DatasetVersion.STATE_FAILED,
}
_MOST_CLASSES = 10_000  # a message has an end
_MAX_TEXT_BYTES = 1000


def dataset_to_proto(dataset: Dataset, versions: Sequence[DatasetVersion] | None = None) -> pb.Dataset:
    """With these versions; None: all."""
    shown = dataset.versions if versions is None else versions
    return pb.Dataset(
        name=names.dataset_name(dataset.id),
        versions=[version_to_proto(version) for version in shown],
        create_time=_time(dataset.created_at),
        update_time=_time(dataset.versions[0].created_at),
        tenant=dataset.tenant,
    )


def version_to_proto(version: DatasetVersion) -> pb.DatasetVersion:
    return pb.DatasetVersion(
        name=names.dataset_version_name(version.dataset_id, version.version),
        state=_STATES[version.state],
        state_reason=version.reason,
        source_uri=version.source_uri,
        sha256=version.sha256,
        files=version.files,
        size_bytes=version.size_bytes,
        summary=None if version.summary is None else _summary(version.summary),
        create_time=_time(version.created_at),
    )


def upload_to_proto(upload: Upload) -> pb.Upload:
    return pb.Upload(
        upload_id=upload.id,
        received_bytes=upload.received_bytes,
        size_bytes=upload.size_bytes,
        dataset=names.dataset_name(upload.dataset_id),
        expire_time=_time(upload.updated_at + UPLOAD_LIFE),
    )


def _summary(summary: Json) -> pb.DatasetSummary:
    return pb.DatasetSummary(
        images=summary["pictures"] - summary["broken_count"],
        classes=_classes(summary["parts"]),
        broken=[_broken(item) for item in summary["broken"]],
        broken_count=summary["broken_count"],
        width=_range(summary["widths"]),
        height=_range(summary["heights"]),
        formats=summary["formats"],
        modes=summary["modes"],
        other_files=summary["other_files"],
        duplicates=summary["duplicate_count"],
    )


def _classes(parts: Sequence[Json]) -> list[pb.ClassCount]:
    splits: dict[str, dict[str, int]] = {}
    for part in parts:
        for name, count in part["counts"].items():
            splits.setdefault(name, {})[part["name"]] = count
    return [
        pb.ClassCount(
            name=shortened(name, _MAX_TEXT_BYTES),
            images=sum(counts.values()),
            splits={} if "" in counts else counts,
        )
        for name, counts in sorted(splits.items())[:_MOST_CLASSES]
    ]


def _broken(item: Json) -> pb.BrokenFile:
    return pb.BrokenFile(
        path=shortened(item["path"], _MAX_TEXT_BYTES), reason=shortened(item["reason"], _MAX_TEXT_BYTES)
    )


def _range(spread: Json | None) -> pb.SizeRange | None:
    return None if spread is None else pb.SizeRange(min=spread["least"], median=spread["median"], max=spread["most"])


def _time(value: datetime) -> Timestamp:
    stamp = Timestamp()
    stamp.FromDatetime(value)
    return stamp
