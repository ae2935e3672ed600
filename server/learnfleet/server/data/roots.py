"""The folders that clients may name paths beneath, here and on storages that fsspec knows."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from learnfleet.server.errors import FieldViolation, InvalidArgument

_MAX_CHARACTERS = 4096


@dataclass(frozen=True)
class RemoteFolder:
    """A folder on another storage: what fsspec calls its protocol, and the path without it."""

    protocol: str
    path: str

    def __str__(self) -> str:
        return f"{self.protocol}://{self.path}"

    def holds(self, other: RemoteFolder) -> bool:
        """Whether the other is this one or beneath it."""
        mine, others = self.path.split("/"), other.path.split("/")
        return self.protocol == other.protocol and others[: len(mine)] == mine


def remote_folder(url: str) -> RemoteFolder | None:
    """What a URL names; None for a path of this machine (also `file://`). Raises ValueError for one of neither kind."""
    scheme, separator, path = url.partition("://")
    if not separator:
        return None
    if not re.fullmatch(r"[a-z][a-z0-9+.-]*", scheme):
        raise ValueError(f"'{url[:80]}' is no URL")
    if scheme == "file":
        return None
    parts = [part for part in path.split("/") if part]
    # "::" chains file systems (zip inside s3 inside ...), which would lead anywhere.
    if not parts or "::" in url or ".." in parts or "." in parts or not url.isprintable():
        raise ValueError(f"'{url[:80]}' must be of the form protocol://bucket/folder, without '..', '.' and '::'")
    return RemoteFolder(scheme, "/".join(parts))


def local_path(url: str) -> str:
    """The path of this machine that a path or a `file://` URL names."""
    return url.removeprefix("file://")


class DataRoots:
    """Resolves what clients call a path. Nothing outside the declared roots is ever looked at."""

    def __init__(self, roots: Sequence[Path | str], kept: Path | None = None) -> None:
        """Raises ValueError for a root that is neither a path nor a URL.

        Args:
            kept: the server's data directory, which is no data although it may lie in a root: what lies there belongs
                to tenants, and has names of its own.
        """
        self._kept = None if kept is None else kept.resolve()
        remote = {str(root): remote_folder(str(root)) for root in roots}
        self._roots = tuple(Path(local_path(root)).resolve() for root, folder in remote.items() if folder is None)
        self._remote = tuple(folder for folder in remote.values() if folder is not None)

    def resolve_uri(self, uri: str, field: str) -> Path | RemoteFolder:
        """A folder beneath a root that a data set is to be made of: as `resolve`, or on another storage.

        Of another storage only the name is looked at. Raises InvalidArgument naming `field`.
        """
        try:
            remote = remote_folder(uri)
        except ValueError as error:
            raise _refuse(field, str(error)) from None
        if remote is None:
            path = self.resolve(local_path(uri), field)
            if not path.is_dir():
                raise _refuse(field, f"'{uri}' is no folder")
            return path
        if not any(root.holds(remote) for root in self._remote):
            raise _refuse(
                field, f"'{uri[:200]}' is not beneath a data root of the server; the data roots are {self._shown()}"
            )
        return remote

    def resolve(self, path: str, field: str) -> Path:
        """The real path of an existing file or folder beneath a root; relative ones are tried below each root.

        Symbolic links are followed first: one that leads out of the roots is refused. The answer for a path outside
        does not tell whether it exists. Raises InvalidArgument naming `field`.
        """
        if not path:
            raise _refuse(field, f"is empty; must be a path beneath one of the data roots: {self._shown()}")
        if "\0" in path or len(path) > _MAX_CHARACTERS:
            raise _refuse(field, f"'{path[:80]}' can be no path: it holds a zero byte or is too long")
        candidates = [Path(path)] if Path(path).is_absolute() else [root / path for root in self._roots]
        inside = [real for candidate in candidates if self._holds(real := _real(candidate))]
        if not inside:
            raise _refuse(
                field, f"'{path}' is not beneath a data root of the server; the data roots are {self._shown()}"
            )
        for real in inside:
            if os.path.exists(real):  # noqa: PTH110  # Path.exists raises where a part is too long or forbidden
                return real
        raise _refuse(field, f"'{path}' does not exist beneath the data roots {self._shown()}")

    def root_of(self, real: Path) -> Path:
        """The root that a resolved path is beneath."""
        return next(root for root in self._roots if real.is_relative_to(root))

    def _holds(self, real: Path) -> bool:
        if self._kept is not None and real.is_relative_to(self._kept):
            return False
        return any(real == root or root in real.parents for root in self._roots)

    def _shown(self) -> str:
        return (
            ", ".join(str(root) for root in (*self._roots, *self._remote))
            or "(none: start the server with --data-root)"
        )


def _real(path: Path) -> Path:
    try:
        return path.resolve()
    except (OSError, RuntimeError):  # a loop of links
        return Path("/")


def _refuse(field: str, description: str) -> InvalidArgument:
    return InvalidArgument([FieldViolation(field, description)])
