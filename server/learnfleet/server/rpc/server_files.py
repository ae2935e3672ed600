"""Picture files of data sets and beneath the data roots, for those who name them in a call."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

from learnfleet.server.errors import FieldViolation, InvalidArgument, Unavailable
from learnfleet.server.rpc.source_places import SourcePlaces
from learnfleet.trainer.files import RefusedFile, read_file


@dataclass(frozen=True)
class ServerFiles:
    """Reads files that the caller may name."""

    places: SourcePlaces

    async def read(self, dataset: str, path: str, max_bytes: int, field: str) -> bytes:
        """The content of a file: of a data set, or beneath a data root where `dataset` is empty.

        Raises InvalidArgument naming `field`.dataset or `field`.path, Unavailable where the disk is to blame.
        """
        return await asyncio.to_thread(self._read, dataset, path, max_bytes, field)

    def _read(self, dataset: str, path: str, max_bytes: int, field: str) -> bytes:
        file, root = self._place(dataset, path, field)
        try:
            return read_file(file, max_bytes, root)
        except RefusedFile as error:
            raise _refused(f"{field}.path", f"'{path[:200]}' cannot be used: {error}") from None
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError, PermissionError) as error:
            raise _refused(f"{field}.path", f"'{path[:200]}' cannot be opened: {error.strerror}") from None
        except OSError as error:
            raise Unavailable(
                f"{field}.path: '{path[:200]}' cannot be read now: {error.strerror}; try again"
            ) from error

    def _place(self, dataset: str, path: str, field: str) -> tuple[Path, Path]:
        """(file, the folder that it must lie in)."""
        if not path:
            raise _refused(f"{field}.path", "is empty; must be the path of a picture file")
        if dataset:
            version = self.places.version(dataset, f"{field}.dataset")
            return version.resolve(path, f"{field}.path"), version.folder
        file = self.places.resolve(path, f"{field}.path")
        return file, self.places.roots.root_of(file)


def _refused(field: str, description: str) -> InvalidArgument:
    return InvalidArgument([FieldViolation(field, description)])
