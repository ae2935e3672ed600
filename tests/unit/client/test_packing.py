"""A folder is the same stream of bytes every time, from wherever it is read, and any tar reads it."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import pytest

from learnfleet.client.packing import CHUNK_BYTES, pack

FILES = {
    "train/cat/1.jpg": b"one" * 400,
    "train/cat/2.jpg": b"",
    "train/dog/" + "long" * 30 + ".jpg": b"x" * 512,
    "train/dog/été.jpg": b"y" * 513,
    "large.bin": bytes(range(256)) * 6000,
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, content in FILES.items():
        path = tmp_path / "pets" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return tmp_path / "pets"


def whole(folder: Path) -> bytes:
    return b"".join(pack(folder).read(0))


def test_a_packed_folder_is_a_tar_of_its_files(folder: Path) -> None:
    content = whole(folder)
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        found = {info.name: tar.extractfile(info).read() for info in tar}  # type: ignore[union-attr]
    assert found == FILES
    assert len(content) == pack(folder).size_bytes


def test_it_is_the_same_whenever_and_by_whomever_it_was_written(folder: Path) -> None:
    before = whole(folder)
    for path in folder.rglob("*.jpg"):
        path.chmod(0o600)
        os.utime(path, (1, 1))
    assert whole(folder) == before


def test_reading_goes_on_from_every_offset(folder: Path) -> None:
    content, packed = whole(folder), pack(folder)
    borders = {place + step for place in range(0, 8192, 512) for step in (-1, 0, 1) if place + step >= 0}
    for offset in sorted(borders | {len(content) - 1025, len(content) - 1024, len(content) - 1, len(content)}):
        assert b"".join(packed.read(offset)) == content[offset:], offset


def test_pieces_are_no_larger_than_a_chunk(folder: Path) -> None:
    assert max(map(len, pack(folder).read(0))) == CHUNK_BYTES


def test_a_file_that_changes_during_an_upload_is_named(folder: Path) -> None:
    packed = pack(folder)
    (folder / "train" / "cat" / "1.jpg").write_bytes(b"two" * 400)
    with pytest.raises(ValueError, match=r"1\.jpg has changed"):
        b"".join(packed.read(0))


def test_hidden_files_and_links_that_lead_out_stay_at_home(folder: Path, tmp_path: Path) -> None:
    before = whole(folder)
    (tmp_path / "secret").write_bytes(b"secret")
    (folder / ".ssh").mkdir()
    (folder / ".ssh" / "id").write_bytes(b"secret")
    (folder / "secret.jpg").symlink_to(tmp_path / "secret")
    (folder / "loop").symlink_to(folder)
    (folder / "self").symlink_to("self")
    assert whole(folder) == before


@pytest.mark.parametrize("name", ["back\\slash.jpg", "new\nline.jpg", os.fsdecode(b"caf\xe9.jpg")])
def test_names_that_the_server_would_refuse_are_told_before_anything_is_sent(name: str, folder: Path) -> None:
    (folder / name).write_bytes(b"x")
    with pytest.raises(ValueError, match="cannot be uploaded"):
        pack(folder)


@pytest.mark.parametrize("name", ["train/cat/1.JPG", "train/Cat/3.jpg"])
def test_names_that_differ_in_case_only_are_told_too(name: str, folder: Path) -> None:
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_bytes(b"x")
    with pytest.raises(ValueError, match="one name on some storages"):
        pack(folder)


@pytest.mark.parametrize(
    ("name", "packing"), [("a.tar", "tar"), ("a.TGZ", "tar.gz"), ("a.tar.gz", "tar.gz"), ("a.zip", "zip")]
)
def test_archives_are_sent_as_they_are(name: str, packing: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"content")
    packed = pack(tmp_path / name)
    assert (packed.packing, b"".join(packed.read(3))) == (packing, b"tent")


def test_one_file_is_a_tar_of_itself(folder: Path) -> None:
    with tarfile.open(fileobj=io.BytesIO(whole(folder / "large.bin"))) as tar:
        assert [(info.name, info.size) for info in tar] == [("large.bin", len(FILES["large.bin"]))]


def test_the_description_changes_with_the_files_and_only_then(folder: Path) -> None:
    before = pack(folder).described()
    assert pack(folder).described() == before
    (folder / "large.bin").touch()
    assert pack(folder).described() != before
