"""Data sets as the server describes them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from html import escape

from learnfleet.client.cards import card, size, table
from learnfleet.client.dataset_paths import DatasetPath
from learnfleet.client.times import time_of
from learnfleet.v1 import dataset_service_pb2 as pb

_MOST_ROWS = 60


@dataclass(frozen=True)
class SizeRange:
    """In pixels."""

    min: int
    median: int
    max: int

    def __str__(self) -> str:
        return f"{self.min} to {self.max}, median {self.median}" if self.min < self.max else str(self.min)


@dataclass(frozen=True)
class BrokenFile:
    """A picture that cannot be used."""

    path: str
    reason: str


@dataclass(frozen=True)
class DatasetSummary:
    """What is in a version."""

    images: int  # that can be decoded
    classes: dict[str, int]  # pictures in each class folder
    splits: dict[str, dict[str, int]]  # of each class by split (train, valid, test); {} without split folders
    broken: tuple[BrokenFile, ...]  # the first 100
    broken_count: int
    width: SizeRange | None
    height: SizeRange | None
    formats: dict[str, int]
    modes: dict[str, int]
    other_files: int
    duplicates: int  # pictures that repeat another one's content

    @classmethod
    def from_proto(cls, message: pb.DatasetSummary) -> DatasetSummary:
        return cls(
            images=message.images,
            classes={item.name: item.images for item in message.classes},
            splits={item.name: dict(item.splits) for item in message.classes if item.splits},
            broken=tuple(BrokenFile(item.path, item.reason) for item in message.broken),
            broken_count=message.broken_count,
            width=_range(message.width) if message.HasField("width") else None,
            height=_range(message.height) if message.HasField("height") else None,
            formats=dict(message.formats),
            modes=dict(message.modes),
            other_files=message.other_files,
            duplicates=message.duplicates,
        )

    def rows(self) -> Iterator[tuple[str, ...]]:
        """A heading, then a row for each class: its pictures, by split where there are splits."""
        names = [name for name in ("train", "valid", "test") if any(name in by for by in self.splits.values())]
        yield ("class", *names, *(("all",) if len(names) != 1 else ()))
        for name, count in self.classes.items():
            parts = [str(self.splits.get(name, {}).get(split, 0)) for split in names]
            yield (name, *parts, *((str(count),) if len(names) != 1 else ()))

    def notes(self) -> list[str]:
        """What else there is to say, a line each."""
        formats = ", ".join(f"{count:,} {name}" for name, count in self.formats.items())
        notes = [f"{self.images:,} pictures ({formats})" if formats else f"{self.images:,} pictures"]
        if self.width and self.height:
            notes.append(f"{self.width} pixels wide, {self.height} high")
        if self.duplicates:
            notes.append(f"{self.duplicates:,} repeat another picture's content")
        if self.broken_count:
            named = ", ".join(f"{item.path} ({item.reason})" for item in self.broken[:3])
            notes.append(f"{self.broken_count:,} cannot be used: {named}" + (", ..." if self.broken_count > 3 else ""))
        return notes


@dataclass(frozen=True)
class DatasetVersion:
    """What a data set is since the version was made. Its files never change."""

    name: str  # datasets/{dataset}/versions/{version}
    state: str  # PENDING: its pictures are being looked at; READY; FAILED: they could not be
    state_reason: str
    source_uri: str  # as registered; empty: uploaded
    sha256: str
    files: int
    size_bytes: int
    summary: DatasetSummary | None  # of a READY one
    create_time: datetime

    @classmethod
    def from_proto(cls, message: pb.DatasetVersion) -> DatasetVersion:
        return cls(
            name=message.name,
            state=pb.DatasetVersion.State.Name(message.state).removeprefix("STATE_"),
            state_reason=message.state_reason,
            source_uri=message.source_uri,
            sha256=message.sha256,
            files=message.files,
            size_bytes=message.size_bytes,
            summary=DatasetSummary.from_proto(message.summary) if message.HasField("summary") else None,
            create_time=time_of(message.create_time),
        )

    def __truediv__(self, path: str) -> DatasetPath:
        """A folder or file of it, for `ImageDataBunch` and the like."""
        return DatasetPath(self.name, path)

    def __str__(self) -> str:
        return str(DatasetPath(self.name))

    def __fspath__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        return _html(self.name, self)


@dataclass(frozen=True)
class Dataset:
    """A data set. Where a path is wanted it stands for its newest version here: `ImageDataBunch.from_folder(dataset)`.

    `client.datasets.get` knows all versions; uploads, registrations and lists the one that they are about.
    """

    name: str  # datasets/{dataset}
    versions: tuple[DatasetVersion, ...]  # newest first
    create_time: datetime
    update_time: datetime

    @classmethod
    def from_proto(cls, message: pb.Dataset) -> Dataset:
        versions = tuple(DatasetVersion.from_proto(version) for version in message.versions)
        return cls(message.name, versions, time_of(message.create_time), time_of(message.update_time))

    @property
    def version(self) -> DatasetVersion:
        """The newest one here."""
        return self.versions[0]

    def only(self, version: DatasetVersion) -> Dataset:
        """It with this version alone."""
        return replace(self, versions=(version,))

    def as_now(self, version: DatasetVersion) -> DatasetVersion:
        """The version as it stands here; one that is not here, as it was."""
        return next((item for item in self.versions if item.name == version.name), version)

    @property
    def summary(self) -> DatasetSummary | None:
        return self.version.summary

    @property
    def classes(self) -> Mapping[str, int]:
        """Pictures of each class; empty until they have been looked at."""
        return self.summary.classes if self.summary else {}

    def __truediv__(self, path: str) -> DatasetPath:
        """A folder or file of it, for `ImageDataBunch` and the like."""
        return self.version / path

    def __str__(self) -> str:
        return str(self.version)

    def __fspath__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        return _html(self.version.name, self.version)


def _range(message: pb.SizeRange) -> SizeRange:
    return SizeRange(message.min, message.median, message.max)


def _html(title: str, version: DatasetVersion) -> str:
    facts: dict[str, object] = {"files": f"{version.files:,}", "size": size(version.size_bytes)}
    if version.summary is None:
        return card(title, {**facts, version.state.lower(): version.state_reason})
    head, *rows = version.summary.rows()
    more = f"<div>and {len(rows) - _MOST_ROWS:,} more classes</div>" if len(rows) > _MOST_ROWS else ""
    notes = "".join(f"<div>{escape(note)}</div>" for note in version.summary.notes())
    return card(title, facts) + notes + (table(head, rows[:_MOST_ROWS]) if rows else "") + more
