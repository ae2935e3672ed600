"""Archives that strangers made, unpacked into a folder that holds nothing but regular files afterwards."""

from __future__ import annotations

import gzip
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import IO, cast

from learnfleet.server.data.bounded_reader import BoundedReader
from learnfleet.server.data.errors import BadContent
from learnfleet.server.data.member_names import MemberNames, checked_parts, is_hidden

_STEP_BYTES = 2**18
_MAX_GLOBAL_HEADERS = 2**20
_NOWHERE = "/nowhere"  # tarfile's own filter wants to know where; nothing is written by it
_ENCRYPTED = 1
_DIRECTORY_SIZE = 5  # place in zipfile's record of the end of an archive
_DIRECTORY_ENTRY_BYTES = 128  # of a zip's directory, for each file that it may hold


_BROKEN = (tarfile.TarError, zipfile.BadZipFile, EOFError, zlib.error, gzip.BadGzipFile, struct.error)


class Packing(StrEnum):
    """What was uploaded."""

    TAR = "tar"
    TAR_GZ = "tar.gz"
    ZIP = "zip"


@dataclass(frozen=True)
class Limits:
    """What an archive may unpack to."""

    max_bytes: int
    max_files: int = 1_000_000
    max_ratio: int = 100  # unpacked bytes to packed ones
    free_bytes: int = 2**20  # below which the ratio does not matter: text tables are small and pack well


@dataclass(frozen=True)
class _Member:
    name: str
    size_bytes: int
    content: IO[bytes]


def unpack(archive: Path, packing: Packing, target: Path, limits: Limits) -> None:
    """Write the archive's files below `target`, an empty folder. Hidden files are left out.

    Links, devices and names that lead elsewhere are refused, not left out: an archive that has them is not what its
    owner takes it for.

    Raises BadContent that names the member, OSError of the disk.
    """
    packed_bytes = archive.stat().st_size
    most = min(limits.max_bytes, max(limits.max_ratio * packed_bytes, limits.free_bytes))
    try:
        with archive.open("rb") as file:
            writer = _Writer(target, limits.max_files, most)
            for member in _members(file, packing, limits, most):
                writer.write(member)
    except _BROKEN as error:
        raise BadContent(f"is no whole {packing} archive: {error or 'it ends too soon'}") from error
    except (NotImplementedError, UnicodeError, RecursionError) as error:
        raise BadContent(f"is a {packing} archive of a kind that is not read here: {error}") from error
    if not writer.names:
        raise BadContent("holds no file")


class _Writer:
    """Files of one archive, one after the other, up to limits."""

    def __init__(self, target: Path, max_files: int, max_bytes: int) -> None:
        self._target, self._max_files, self._room_bytes = target, max_files, max_bytes
        self.names = MemberNames()

    def write(self, member: _Member) -> None:
        kept = self.names.add(member.name)
        if len(self.names) > self._max_files:
            raise BadContent(f"holds more than {self._max_files:,} files")
        path = self._target / kept
        path.parent.mkdir(parents=True, exist_ok=True)
        # "x": nothing that an earlier member has put there is ever written through.
        with path.open("xb") as file:
            written = self._copy(member, file)
        if written != member.size_bytes:
            raise BadContent(f"{member.name!r} has {written:,} bytes of {member.size_bytes:,}: the archive is cut off")

    def _copy(self, member: _Member, file: IO[bytes]) -> int:
        written = 0
        while part := member.content.read(_STEP_BYTES):
            written += len(part)
            self._room_bytes -= len(part)
            if self._room_bytes < 0:
                raise BadContent(f"{member.name!r} makes it larger than data sets may be, or than it can honestly be")
            file.write(part)
        return written


def _members(file: IO[bytes], packing: Packing, limits: Limits, most: int) -> Iterator[_Member]:
    if packing is Packing.ZIP:
        return _zip_members(file, limits)
    # Headers and padding come on top of the files.
    overhead = 2048 * limits.max_files + tarfile.RECORDSIZE
    if packing is Packing.TAR:
        return _tar_members(BoundedReader(file, most + overhead, can_skip=True))
    unpacked = cast(IO[bytes], gzip.GzipFile(fileobj=file))
    return _tar_members(BoundedReader(unpacked, most + overhead, can_skip=False))


def _tar_members(content: BoundedReader) -> Iterator[_Member]:
    with tarfile.open(fileobj=cast(IO[bytes], content), mode="r:", errors="surrogateescape") as tar:
        while (info := _next(tar, content)) is not None:
            _check_tar_member(info)
            if info.isdir() or is_hidden(info.name):
                continue
            tarfile.data_filter(info, _NOWHERE)
            opened = tar.extractfile(info)
            assert opened is not None, "a regular file has content"
            content.begin_content()
            yield _Member(info.name, info.size, opened)
    if not content.ended_with_zeros:
        raise BadContent("is no whole tar archive: its end is missing")


def _next(tar: tarfile.TarFile, content: BoundedReader) -> tarfile.TarInfo | None:
    content.begin_header()
    tar.members = []  # type: ignore[attr-defined]  # it would remember each of them, and there may be a million
    info = tar.next()
    if sum(len(key) + len(value) for key, value in tar.pax_headers.items()) > _MAX_GLOBAL_HEADERS:
        raise BadContent("has more than a megabyte of global headers")
    return info


def _check_tar_member(info: tarfile.TarInfo) -> None:
    if info.issym() or info.islnk():
        raise BadContent(f"{info.name!r} is a link to {info.linkname!r}; pack what it leads to (tar --dereference)")
    if not (info.isreg() or info.isdir()):
        raise BadContent(f"{info.name!r} is neither a file nor a folder")
    if info.issparse():
        raise BadContent(f"{info.name!r} is a file with holes; pack it without --sparse")
    if info.name.strip("./") or ".." in info.name:  # else it is the folder itself
        checked_parts(info.name)


def _zip_members(file: IO[bytes], limits: Limits) -> Iterator[_Member]:
    _check_directory(file, limits)
    with zipfile.ZipFile(file) as archive:
        for info in archive.infolist():
            _check_zip_member(info)
            if info.is_dir() or is_hidden(info.filename):
                continue
            with archive.open(info) as content:
                yield _Member(info.filename, info.file_size, content)


def _check_zip_member(info: zipfile.ZipInfo) -> None:
    name = info.orig_filename
    if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise BadContent(f"{name!r} is a link or a device; pack what it leads to")
    if info.flag_bits & _ENCRYPTED:
        raise BadContent(f"{name!r} is encrypted")
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise BadContent(f"{name!r} is packed in a way that is not read here; use deflate")
    checked_parts(name)


def _check_directory(file: IO[bytes], limits: Limits) -> None:
    """Of a zip, before zipfile reads it into memory as a whole."""
    end = zipfile._EndRecData(file)  # type: ignore[attr-defined]  # what zipfile itself is about to believe
    size_bytes = end[_DIRECTORY_SIZE] if end else 0
    if size_bytes > limits.max_files * _DIRECTORY_ENTRY_BYTES:
        raise BadContent(f"has a directory of {size_bytes:,} bytes: too many files, the limit is {limits.max_files:,}")
