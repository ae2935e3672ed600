"""Archives become regular files below their folder, or are refused with the member named."""

from __future__ import annotations

import stat
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from support.archives import (
    FORGED_CONTENT,
    a_tar,
    a_tar_bomb,
    a_tar_with,
    a_tar_with_large_headers,
    a_zip,
    add_to_tar,
)

from learnfleet.server.data.errors import BadContent
from learnfleet.server.data.unpack import Limits, Packing, unpack

FILES = {"train/cat/1.jpg": b"one", "train/dog/2.jpg": b"two" * 1000, "labels.csv": b""}
LIMITS = Limits(max_bytes=50 * 2**20, max_files=100)


@pytest.fixture
def target(tmp_path: Path) -> Path:
    folder = tmp_path / "outer" / "target"
    folder.mkdir(parents=True)
    return folder


def found_in(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def refused(archive: Path, packing: Packing, target: Path, limits: Limits = LIMITS) -> str:
    """Why; and nothing may be anywhere but below the target, where links and devices may not be either."""
    with pytest.raises(BadContent) as caught:
        unpack(archive, packing, target, limits)
    beside = [path for path in target.parent.rglob("*") if target not in (path, *path.parents)]
    assert beside == []
    assert all(stat.S_IFMT(path.lstat().st_mode) in (stat.S_IFREG, stat.S_IFDIR) for path in target.rglob("*"))
    return str(caught.value)


@pytest.mark.parametrize(
    ("packing", "make"),
    [
        (Packing.TAR, lambda path: a_tar(path, FILES)),
        (Packing.TAR_GZ, lambda path: a_tar(path, FILES, "w:gz")),
        (Packing.ZIP, lambda path: a_zip(path, FILES)),
    ],
)
def test_files_of_an_honest_archive_are_unpacked(
    packing: Packing, make: Callable[[Path], Path], tmp_path: Path, target: Path
) -> None:
    unpack(make(tmp_path / "archive"), packing, target, LIMITS)
    assert found_in(target) == FILES


def test_hidden_files_and_leftovers_are_left_out(tmp_path: Path, target: Path) -> None:
    names = ("cat/1.jpg", "cat/.DS_Store", "__MACOSX/cat/._1.jpg", ".git/config", "./cat/2.jpg")
    unpack(a_tar(tmp_path / "a.tar", dict.fromkeys(names, b"x")), Packing.TAR, target, LIMITS)
    assert set(found_in(target)) == {"cat/1.jpg", "cat/2.jpg"}


ESCAPES = [
    "/etc/passwd",
    "../outside.txt",
    "a/../../outside.txt",
    "a/b/../../../outside.txt",
    "./../outside.txt",
    "..",
    "C:/windows/system.ini",
    "a\\..\\..\\outside.txt",
    "new\nline.txt",
    "/".join(["deep"] * 40) + "/x.txt",
    "n" * 300,
]


@pytest.mark.parametrize("name", ESCAPES)
@pytest.mark.parametrize("packing", [Packing.TAR, Packing.ZIP])
def test_a_name_that_leads_elsewhere_is_refused(name: str, packing: Packing, tmp_path: Path, target: Path) -> None:
    make = a_tar if packing is Packing.TAR else a_zip
    archive = make(tmp_path / "archive", {"honest.txt": b"honest", name: FORGED_CONTENT})
    assert name[:20].encode("unicode_escape").decode()[:5] in refused(archive, packing, target)


@pytest.mark.parametrize(
    ("kind", "what"),
    [
        ({"type": tarfile.SYMTYPE, "linkname": "/etc"}, "link"),
        ({"type": tarfile.SYMTYPE, "linkname": "honest.txt"}, "link"),
        ({"type": tarfile.LNKTYPE, "linkname": "../../etc/passwd"}, "link"),
        ({"type": tarfile.LNKTYPE, "linkname": "honest.txt"}, "link"),
        ({"type": tarfile.CHRTYPE, "devmajor": 1, "devminor": 3}, "neither"),
        ({"type": tarfile.BLKTYPE}, "neither"),
        ({"type": tarfile.FIFOTYPE}, "neither"),
    ],
)
def test_links_and_devices_in_a_tar_are_refused(
    kind: dict[str, object], what: str, tmp_path: Path, target: Path
) -> None:
    told = refused(a_tar_with(tmp_path / "a.tar", "planted", **kind), Packing.TAR, target)
    assert "'planted'" in told
    assert what in told


def test_nothing_is_written_through_a_link_that_came_first(tmp_path: Path, target: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        add_to_tar(tar, "door", type=tarfile.SYMTYPE, linkname=str(outside))
        add_to_tar(tar, "door/planted.txt", FORGED_CONTENT)
    assert "'door'" in refused(tmp_path / "a.tar", Packing.TAR, target)
    assert list(outside.iterdir()) == []


@pytest.mark.parametrize("mode", [stat.S_IFLNK | 0o777, stat.S_IFCHR | 0o600, stat.S_IFIFO | 0o600])
def test_links_and_devices_in_a_zip_are_refused(mode: int, tmp_path: Path, target: Path) -> None:
    archive = a_zip(tmp_path / "a.zip", {"planted": b"/etc/passwd"}, mode)
    assert "'planted' is a link or a device" in refused(archive, Packing.ZIP, target)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("cat/1.jpg", "cat/1.jpg"),
        ("cat/1.jpg", "cat/1.JPG"),
        ("cat/1.jpg", "Cat/2.jpg"),
        ("cat/é.jpg", "cat/é.jpg"),
        ("cat/1.jpg", "./cat//1.jpg"),
        ("cat", "cat/1.jpg"),
        ("cat/1.jpg", "cat"),
        ("straße.jpg", "STRASSE.jpg"),
    ],
)
def test_names_that_are_one_on_some_storages_are_refused(first: str, second: str, tmp_path: Path, target: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        add_to_tar(tar, first, b"1")
        add_to_tar(tar, second, b"2")
    refused(tmp_path / "a.tar", Packing.TAR, target)


def test_names_come_out_in_composed_unicode(tmp_path: Path, target: Path) -> None:
    unpack(a_tar(tmp_path / "a.tar", {"abeille_é.jpg": b"x"}), Packing.TAR, target, LIMITS)
    assert set(found_in(target)) == {"abeille_é.jpg"}


def test_a_tar_bomb_is_refused_before_it_fills_the_disk(tmp_path: Path, target: Path) -> None:
    refused(a_tar_bomb(tmp_path / "bomb.tar.gz", megabytes=20), Packing.TAR_GZ, target)
    assert sum(map(len, found_in(target).values())) < 4 * 2**20


def test_a_zip_bomb_is_refused_before_it_fills_the_disk(tmp_path: Path, target: Path) -> None:
    refused(a_zip(tmp_path / "bomb.zip", {"zeros.bin": bytes(20 * 2**20)}), Packing.ZIP, target)
    assert sum(map(len, found_in(target).values())) < 4 * 2**20


def test_many_small_bombs_count_together(tmp_path: Path, target: Path) -> None:
    archive = a_zip(tmp_path / "bombs.zip", {f"{n}.bin": bytes(2**20) for n in range(20)})
    refused(archive, Packing.ZIP, target)


def test_headers_that_would_fill_memory_are_refused(tmp_path: Path, target: Path) -> None:
    told = refused(a_tar_with_large_headers(tmp_path / "a.tar.gz", megabytes=8), Packing.TAR_GZ, target)
    assert "headers" in told


def test_more_files_than_the_limit_are_refused(tmp_path: Path, target: Path) -> None:
    archive = a_tar(tmp_path / "a.tar", {f"{n}.txt": b"" for n in range(12)})
    assert "more than 10 files" in refused(archive, Packing.TAR, target, Limits(2**20, max_files=10))


def test_more_bytes_than_the_limit_are_refused(tmp_path: Path, target: Path) -> None:
    archive = a_tar(tmp_path / "a.tar", {"a.bin": bytes(3000)})
    assert "'a.bin'" in refused(archive, Packing.TAR, target, Limits(max_bytes=2000))


@pytest.mark.parametrize("keep", [0.3, 0.6, 0.85])
@pytest.mark.parametrize("packing", [Packing.TAR, Packing.TAR_GZ, Packing.ZIP])
def test_a_truncated_archive_is_refused(packing: Packing, keep: float, tmp_path: Path, target: Path) -> None:
    files = {f"{n}.bin": bytes(range(256)) * (n + 1) for n in range(30)}
    path = tmp_path / "archive"
    if packing is Packing.ZIP:
        a_zip(path, files)
    else:
        a_tar(path, files, "w:gz" if packing is Packing.TAR_GZ else "w")
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * keep)])
    refused(path, packing, target)


def test_a_tar_that_ends_after_a_file_is_refused(tmp_path: Path, target: Path) -> None:
    path = a_tar(tmp_path / "a.tar", {"a.bin": b"x", "b.bin": b"y"})
    path.write_bytes(path.read_bytes()[:1024])
    assert "end is missing" in refused(path, Packing.TAR, target)


def test_a_tar_with_garbage_between_its_files_is_refused(tmp_path: Path, target: Path) -> None:
    path = a_tar(tmp_path / "a.tar", {"a.bin": b"x", "b.bin": b"y"})
    content = bytearray(path.read_bytes())
    content[1024:1536] = b"\xff" * 512
    path.write_bytes(content)
    refused(path, Packing.TAR, target)


@pytest.mark.parametrize("packing", [Packing.TAR, Packing.TAR_GZ, Packing.ZIP])
@pytest.mark.parametrize("content", [b"", b"no archive at all", bytes(10_000)])
def test_what_is_no_archive_is_refused(packing: Packing, content: bytes, tmp_path: Path, target: Path) -> None:
    (tmp_path / "a").write_bytes(content)
    refused(tmp_path / "a", packing, target)


def test_bytes_in_a_name_that_are_no_utf8_are_refused(tmp_path: Path, target: Path) -> None:
    archive = a_tar(tmp_path / "a.tar", {"caf\udce9.jpg": b"x"})
    assert "UTF-8" in refused(archive, Packing.TAR, target)


def test_a_file_with_holes_is_refused(tmp_path: Path, target: Path) -> None:
    archive = a_tar_with(tmp_path / "a.tar", "planted", type=tarfile.GNUTYPE_SPARSE)
    assert "planted" in refused(archive, Packing.TAR, target)


def test_headers_without_end_are_refused(tmp_path: Path, target: Path) -> None:
    header = tarfile.TarInfo("x")
    header.type = tarfile.XHDTYPE
    (tmp_path / "a.tar").write_bytes(header.tobuf(tarfile.USTAR_FORMAT) * 5000 + bytes(1024))
    refused(tmp_path / "a.tar", Packing.TAR, target)
