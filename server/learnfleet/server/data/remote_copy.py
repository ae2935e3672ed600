"""Copies of what lies on an object store or another file system that fsspec knows."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from learnfleet.server.data.errors import BadContent
from learnfleet.server.data.member_names import MemberNames, is_hidden

_COPYING_THREADS = 8
_STEP_BYTES = 2**20


class FileSystem(Protocol):
    """What is used of fsspec."""

    def find(self, path: str, *, detail: bool) -> dict[str, dict[str, Any]]: ...

    def isdir(self, path: str) -> bool: ...

    def open(self, path: str, mode: str) -> Any: ...

    def invalidate_cache(self) -> None: ...


@dataclass(frozen=True)
class RemoteFile:
    """A file of the source, and the name it gets."""

    place: str
    name: str
    size_bytes: int


def file_system_of(protocol: str) -> FileSystem:
    """With the credentials of the server's own environment. Raises BadContent where its package is missing."""
    import fsspec

    try:
        found: FileSystem = fsspec.filesystem(protocol)
    except (ImportError, ValueError) as error:
        raise BadContent(f"{protocol}:// cannot be read by this server: {error}") from error
    found.invalidate_cache()  # it is one for the whole process, and remembers listings: others may have written since
    return found


def list_remote(files: FileSystem, folder: str, max_files: int, max_bytes: int) -> list[RemoteFile]:
    """Everything below a folder but hidden files, by name. Raises BadContent, OSError."""
    if not files.isdir(folder):
        raise BadContent(f"{folder} is no folder")
    prefix = folder.strip("/") + "/"
    names = MemberNames()
    found: list[RemoteFile] = []
    for place, info in sorted(files.find(folder, detail=True).items()):
        inner = place.strip("/").removeprefix(prefix)
        if info.get("type") != "file" or place.endswith("/") or is_hidden(inner):
            continue
        found.append(RemoteFile(place, names.add(inner), int(info["size"])))
        if len(found) > max_files:
            raise BadContent(f"{folder} holds more than {max_files:,} files")
    total = sum(file.size_bytes for file in found)
    if total > max_bytes:
        raise BadContent(f"{folder} holds {total:,} bytes; the limit is {max_bytes:,}")
    if not found:
        raise BadContent(f"{folder} holds no file")
    return found


def copy_remote(files: FileSystem, listed: list[RemoteFile], target: Path) -> None:
    """Copy them below `target`, a few at a time, each of the size that was listed. Raises BadContent, OSError."""
    for parent in sorted({(target / file.name).parent for file in listed}):
        parent.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(_COPYING_THREADS, thread_name_prefix="copy") as pool:
        copies = [pool.submit(_copy, files, file, target / file.name) for file in listed]
        try:
            for copy in copies:
                copy.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)  # one that fails is enough
            raise


def _copy(files: FileSystem, file: RemoteFile, target: Path) -> None:
    written = 0
    with files.open(file.place, "rb") as source, target.open("xb") as out:
        while part := source.read(_STEP_BYTES):
            written += len(part)
            if written > file.size_bytes:
                break
            out.write(part)
    if written != file.size_bytes:
        raise BadContent(f"{file.name!r} had {file.size_bytes:,} bytes when it was listed, and other ones when copied")
