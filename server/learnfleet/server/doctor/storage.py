"""The data directory and the data roots: whether what is done to them works there, and for how long there is room."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from learnfleet.server.alone import is_held, lock_in
from learnfleet.server.config import Config
from learnfleet.server.data.roots import remote_folder
from learnfleet.server.doctor.finding import Finding, fail, ok, warn

_SUBJECT = "storage"
_GIB = 2**30
_LITTLE_BYTES, _LOW_BYTES = _GIB, 10 * _GIB
_LOW_SHARE = 0.05
_FEW_FILES = 100_000
_SHM_BYTES = _GIB  # what loader processes of a worker hand pictures over in


def check_storage(config: Config) -> Iterator[Finding]:
    folder = config.data_dir
    there = next(each for each in (folder, *folder.parents) if each.exists())
    if not there.is_dir():
        yield fail(_SUBJECT, f"{there} is no folder", "choose another --data-dir")
        return
    yield _deeds(folder, there)
    yield _room(there)
    if config.is_alone and is_held(lock_in(folder)):
        yield ok(_SUBJECT, f"a server works in {folder} now")
    for root in config.data_roots:
        yield _root(root)
    if config.ray_address is None:
        yield from _shared_memory()


def _deeds(folder: Path, there: Path) -> Finding:
    """What the server does to be sure that a file is there after a crash, in a folder that is gone afterwards."""
    try:
        with tempfile.TemporaryDirectory(dir=there, prefix=".doctor-") as place:
            for name, deed in _DEEDS:
                try:
                    deed(Path(place))
                except OSError as error:
                    advice = "use a file system that can: a local one, NFS 4, CephFS"
                    return fail(_SUBJECT, f"{there}: {name} does not work there: {error.strerror}", advice)
    except OSError as error:
        advice = f"make it writable for user {os.getuid()}, or choose another --data-dir"
        return fail(_SUBJECT, f"{there} cannot be written to: {error.strerror}", advice)
    what = f"{folder} can be written to" if there == folder else f"{folder} can be made"
    return ok(_SUBJECT, f"{what}; {', '.join(name for name, _ in _DEEDS)} work there")


def _write(place: Path) -> None:
    with (place / "a").open("wb") as file:
        file.write(b"x" * 4096)
        file.flush()
        os.fsync(file.fileno())


def _rename(place: Path) -> None:
    (place / "b").write_bytes(b"older")
    (place / "a").replace(place / "b")
    if (place / "b").stat().st_size != 4096:
        raise OSError(0, "the file in its place is another one")


def _link(place: Path) -> None:
    os.link(place / "b", place / "c")


def _sync_folder(place: Path) -> None:
    number = os.open(place, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def _lock(place: Path) -> None:
    with (place / "c").open() as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


_DEEDS: tuple[tuple[str, Callable[[Path], None]], ...] = (
    ("fsync", _write),
    ("rename", _rename),
    ("hard links", _link),
    ("fsync of folders", _sync_folder),
    ("locks", _lock),
)


def _room(there: Path) -> Finding:
    usage, files = shutil.disk_usage(there), os.statvfs(there)
    told = f"{usage.free / _GIB:,.1f} of {usage.total / _GIB:,.1f} GiB are free at {there}"
    advice = "make room: delete learners and data sets that nobody needs, or use a larger disk"
    if usage.free < _LITTLE_BYTES:
        return fail(_SUBJECT, told, advice)
    if usage.free < _LOW_BYTES or usage.free < _LOW_SHARE * usage.total:
        return warn(_SUBJECT, told, advice)
    if files.f_files and files.f_favail < _FEW_FILES:
        return warn(_SUBJECT, f"{told}, but only {files.f_favail:,} files can be made", advice)
    return ok(_SUBJECT, told)


def _root(root: Path | str) -> Finding:
    remote = remote_folder(str(root))
    if remote is not None:
        import fsspec

        try:
            fsspec.get_filesystem_class(remote.protocol)
        except (ImportError, ValueError) as error:
            return fail(_SUBJECT, f"data root {root} cannot be read: {error}", "install the package that it names")
        return ok(_SUBJECT, f"data root {root} can be read with what is installed; whether it lets us in is not asked")
    path = Path(root)
    try:
        next(os.scandir(path), None)
    except OSError as error:
        advice = f"make it a folder that user {os.getuid()} can read, or leave it out of --data-root"
        return fail(_SUBJECT, f"data root {path} cannot be read: {error.strerror}", advice)
    return ok(_SUBJECT, f"data root {path} can be read")


def _shared_memory() -> Iterator[Finding]:
    place = Path("/dev/shm")
    if place.is_dir() and shutil.disk_usage(place).total < _SHM_BYTES:
        told = f"/dev/shm has {shutil.disk_usage(place).total / 2**20:,.0f} MiB, in which workers hand pictures over"
        yield warn(_SUBJECT, told, "mount a larger one (docker run --shm-size=2g)")
