"""What a request's paths are relative to: the data roots, or a version of a data set."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from learnfleet.server import names
from learnfleet.server.data.roots import DataRoots
from learnfleet.server.errors import FieldViolation, InvalidArgument, NotFound
from learnfleet.server.rpc.tenants import current_tenant
from learnfleet.server.store.datasets import DatasetStore
from learnfleet.trainer.data_spec import DatasetRef


class Folders(Protocol):
    """Resolves paths. Raises InvalidArgument naming the field."""

    def resolve(self, path: str, field: str) -> Path: ...


@dataclass(frozen=True)
class VersionFolder:
    """The folder of a version, beneath which paths are."""

    name: str
    folder: Path

    def resolve(self, path: str, field: str) -> Path:
        """The real path of an existing file or folder of the version; empty: all of it."""
        shown = f"'{path[:200]}'"
        if path.startswith("/") or "\0" in path:
            raise _refuse(field, f"{shown} must be a path inside {self.name}, or empty for all of it")
        try:
            real = (self.folder / path).resolve()
            is_there = real.exists()
        except (OSError, RuntimeError):  # too long, or a loop of links
            real, is_there = self.folder, False
        if not real.is_relative_to(self.folder):
            raise _refuse(field, f"{shown} leads out of {self.name}")
        if not is_there:
            raise _refuse(field, f"{shown} does not exist in {self.name}")
        return real

    def ref(self, real: str) -> DatasetRef:
        """What a specification says of data at this real path."""
        inner = os.path.relpath(real, self.folder)
        return DatasetRef(self.name, "" if inner == "." else inner)


@dataclass(frozen=True)
class SourcePlaces:
    """The data roots, and the data sets of the tenant whose call it is."""

    roots: DataRoots
    store: DatasetStore

    def resolve(self, path: str, field: str) -> Path:
        """As `DataRoots.resolve`."""
        return self.roots.resolve(path, field)

    def version(self, name: str, field: str) -> VersionFolder:
        """Of `datasets/{dataset}` the newest version there is now. Raises InvalidArgument naming `field`. Blocks."""
        dataset_id, number = names.parse_dataset_version(name, field)
        try:
            found = self.store.get_version(dataset_id, number, current_tenant())
        except NotFound as error:
            raise _refuse(field, f"{error}; `learnfleet dataset list` shows those that do") from None
        return VersionFolder(names.dataset_version_name(dataset_id, found.version), Path(found.path))


def _refuse(field: str, description: str) -> InvalidArgument:
    return InvalidArgument([FieldViolation(field, description)])
