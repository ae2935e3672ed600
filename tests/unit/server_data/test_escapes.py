"""Thousands of paths, archive members and names that lead elsewhere in other software: none of them does here."""

from __future__ import annotations

import contextlib
import inspect
import io
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from support.nasty_names import NAMES

from learnfleet.server import names
from learnfleet.server.data.errors import BadContent
from learnfleet.server.data.roots import DataRoots, RemoteFolder
from learnfleet.server.data.unpack import Limits, Packing, unpack
from learnfleet.server.errors import InvalidArgument

PLANTED = b"planted"
MANY, ARCHIVES = 3000, 1000
FINE = ("pets", "pets/", "./pets", "pets/../pets", "pets/./.", "file://pets")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A root with a folder, beside what nobody may reach: by its name, a link, or the steps there."""
    (tmp_path / "root" / "pets").mkdir(parents=True)
    (tmp_path / "root" / "pets" / "a.png").write_bytes(b"fine")
    (tmp_path / "secret" / "etc").mkdir(parents=True)
    (tmp_path / "secret" / "etc" / "passwd").write_bytes(PLANTED)
    (tmp_path / "root" / "door").symlink_to(tmp_path / "secret")
    (tmp_path / "root" / "pets" / "up").symlink_to("../..")
    return tmp_path


def own_names(place: Path) -> list[str]:
    """Ways to what lies in this very folder."""
    ways = ("door", "pets/up", "pets/up/secret", "pets/../../secret", f"{place}/secret", "../secret", "door/../door")
    return [way + end for way in ways for end in ("", "/", "/etc", "/etc/passwd", "/../secret/etc/passwd", "/.")]


def test_the_corpus_is_large() -> None:
    assert len(set(NAMES)) >= MANY


def test_no_path_leads_out_of_the_data_roots(place: Path) -> None:
    root = place / "root"
    roots = DataRoots([root, "s3://b/sets"], place / "root" / "data")
    inside = 0
    for name in (*NAMES, *own_names(place), *FINE):
        for resolve in (roots.resolve, roots.resolve_uri):
            with contextlib.suppress(InvalidArgument):
                found = resolve(name, "path")
                if isinstance(found, RemoteFolder):
                    assert RemoteFolder("s3", "b/sets").holds(found), name
                    continue
                inside += 1
                assert found.resolve().is_relative_to(root), name
    assert inside == 2 * len(FINE) - 1  # all of them but the URL where a path is wanted


@pytest.mark.parametrize("packing", [Packing.TAR, Packing.ZIP])
def test_no_member_of_an_archive_lands_elsewhere(place: Path, packing: Packing) -> None:
    archive, before, unpacked = place / "archive", _everything(place), 0
    for number, name in enumerate(NAMES[:: len(NAMES) // ARCHIVES]):
        target = place / "root" / "new" / str(number)
        target.mkdir(parents=True)
        if not _pack(archive, packing, name):
            continue
        with contextlib.suppress(BadContent):
            unpack(archive, packing, target, Limits(10**6))
            unpacked += 1
            assert all(path.resolve().is_relative_to(target) for path in target.rglob("*")), name
    archive.unlink(missing_ok=True)
    assert {path for path in _everything(place) if "new" not in path.parts} == before
    assert unpacked > 10


def test_links_in_an_archive_are_not_followed(place: Path) -> None:
    for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE):
        for to in (*own_names(place), *NAMES[:200]):
            target = place / "root" / "linked"
            target.mkdir(exist_ok=True)
            with tarfile.open(place / "archive", "w") as tar:
                link = tarfile.TarInfo("way")
                link.type, link.linkname = kind, to
                tar.addfile(link)
                _add(tar, "way/etc/passwd")
            with pytest.raises(BadContent):
                unpack(place / "archive", Packing.TAR, target, Limits(10**6))
            assert (place / "secret" / "etc" / "passwd").read_bytes() == PLANTED
            assert list(target.iterdir()) == []


PARSERS: list[Callable[[str], object]] = [
    parse for name, parse in inspect.getmembers(names, inspect.isfunction) if name.startswith("parse_")
]


@pytest.mark.parametrize("parse", PARSERS, ids=lambda parse: parse.__name__)
def test_no_name_has_a_part_that_is_a_path(parse: Callable[[str], object]) -> None:
    """Parts of names become parts of paths."""
    forms = ("{}", "jobs/{}", "learners/{}", "learners/x/checkpoints/{}", "jobs/x/pictures/{}", "interpretations/{}")
    forms += (
        "datasets/{}",
        "datasets/{}/versions/1",
        "models/{}",
        "models/{}/versions/1",
        "models/{}@a",
        "models/m@{}",
    )
    for name in NAMES:
        for form in forms:
            with contextlib.suppress(InvalidArgument):
                _check_parts(parse(form.format(name)), name)


def _check_parts(found: object, name: str) -> None:
    parts = found if isinstance(found, tuple) else vars(found).values() if hasattr(found, "__dict__") else (found,)
    for part in parts:
        if isinstance(part, str):
            assert part not in ("", ".", ".."), name
            assert not set(part) & set("/\\\0\n:"), name


def _everything(folder: Path) -> set[Path]:
    return {path.relative_to(folder) for path in folder.rglob("*")}


def _pack(archive: Path, packing: Packing, name: str) -> bool:
    """Whether there can be an archive with such a member at all."""
    try:
        if packing is Packing.TAR:
            with tarfile.open(archive, "w") as tar:
                _add(tar, name)
        else:
            with zipfile.ZipFile(archive, "w") as packed:
                info = zipfile.ZipInfo("x")
                info.filename = info.orig_filename = name
                packed.writestr(info, PLANTED)
    except (ValueError, OSError, UnicodeError, struct.error):
        return False
    return True


def _add(tar: tarfile.TarFile, name: str) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(PLANTED)
    tar.addfile(info, io.BytesIO(PLANTED))
