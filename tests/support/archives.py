"""Archives, honest and forged ones."""

from __future__ import annotations

import gzip
import io
import stat
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

FORGED_CONTENT = b"planted"


def a_tar(path: Path, files: Mapping[str, bytes], mode: str = "w") -> Path:
    """Files by their names, as they are given."""
    with tarfile.open(path, mode) as tar:
        for name, content in files.items():
            add_to_tar(tar, name, content)
    return path


def add_to_tar(tar: tarfile.TarFile, name: str, content: bytes = b"", **fields: object) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for field, value in fields.items():
        setattr(info, field, value)
    tar.addfile(info, io.BytesIO(content))


def a_tar_with(path: Path, name: str, **fields: object) -> Path:
    """One honest file, and a member with these fields."""
    with tarfile.open(path, "w") as tar:
        add_to_tar(tar, "honest.txt", b"honest")
        add_to_tar(tar, name, **fields)
    return path


def a_zip(path: Path, files: Mapping[str, bytes], mode: int = stat.S_IFREG | 0o644) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            info = zipfile.ZipInfo(name)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = mode << 16
            archive.writestr(info, content)
    return path


def a_tar_bomb(path: Path, megabytes: int) -> Path:
    """Of zeros, which gzip packs to a thousandth."""
    with tarfile.open(path, "w:gz", compresslevel=9) as tar:
        add_to_tar(tar, "zeros.bin", bytes(megabytes * 2**20))
    return path


def a_tar_with_large_headers(path: Path, megabytes: int) -> Path:
    """An extended header that a reader would keep in memory."""
    pax = {"comment": "x" * (megabytes * 2**20)}
    info = tarfile.TarInfo("small.txt")
    info.pax_headers = pax
    with gzip.open(path, "wb") as file:
        file.write(info.tobuf(tarfile.PAX_FORMAT) + bytes(1024))
    return path
