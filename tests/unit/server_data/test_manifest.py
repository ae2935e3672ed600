"""What a folder held is known file by file, and every change of it is seen."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from learnfleet.server.data.errors import BadContent
from learnfleet.server.data.manifest import Manifest, changes, describe_folder

MOST = 1000


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("cat/1.jpg", "cat/2.jpg", "dog/1.jpg"):
        path = tmp_path / "pets" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    return tmp_path / "pets"


def replace_with_same_size_and_time(folder: Path) -> None:
    path = folder / "cat" / "1.jpg"
    before = path.stat()
    path.write_bytes(b"x" * before.st_size)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


CHANGES: list[tuple[Callable[[Path], object], str]] = [
    (lambda folder: (folder / "cat" / "1.jpg").write_bytes(b"longer than before"), "'cat/1.jpg' has 18 bytes"),
    (replace_with_same_size_and_time, "'cat/1.jpg' has other content"),
    (lambda folder: (folder / "dog" / "1.jpg").unlink(), "'dog/1.jpg' is gone"),
    (lambda folder: (folder / "dog" / "9.jpg").write_bytes(b""), "'dog/9.jpg' is new"),
    (lambda folder: (folder / "dog" / "1.jpg").rename(folder / "cat" / "9.jpg"), "'cat/9.jpg' is new"),
    (lambda folder: folder.rename(folder.with_name("elsewhere")), "No such file"),
]


@pytest.mark.parametrize(("change", "told"), CHANGES)
def test_every_change_is_seen_and_named(change: Callable[[Path], object], told: str, folder: Path) -> None:
    manifest = describe_folder(folder, MOST)
    assert changes(folder, manifest) == []
    change(folder)
    assert any(told in line for line in changes(folder, manifest))


def test_a_file_that_was_touched_or_written_anew_with_its_content_has_not_changed(folder: Path) -> None:
    manifest = describe_folder(folder, MOST)
    (folder / "cat" / "1.jpg").touch()
    (folder / "cat" / "2.jpg").write_bytes((folder / "cat" / "2.jpg").read_bytes())
    assert changes(folder, manifest) == []


def test_hidden_files_may_come_and_go(folder: Path) -> None:
    manifest = describe_folder(folder, MOST)
    (folder / "cat" / ".DS_Store").write_bytes(b"x")
    (folder / ".git").mkdir()
    (folder / ".git" / "HEAD").write_bytes(b"x")
    assert changes(folder, manifest) == []
    assert describe_folder(folder, MOST) == manifest


def test_the_same_files_elsewhere_have_the_same_hash(folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    for path in folder.rglob("*.jpg"):
        target = copy / path.relative_to(folder)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    assert describe_folder(copy, MOST).sha256 == describe_folder(folder, MOST).sha256
    (copy / "cat" / "1.jpg").rename(copy / "cat" / "7.jpg")
    assert describe_folder(copy, MOST).sha256 != describe_folder(folder, MOST).sha256


def test_many_changes_are_counted_and_the_first_named(folder: Path) -> None:
    manifest = describe_folder(folder, MOST)
    for number in range(30):
        (folder / f"new{number:02}.jpg").write_bytes(b"")
    told = changes(folder, manifest, wanted=3)
    assert told == ["'new00.jpg' is new", "'new01.jpg' is new", "'new02.jpg' is new", "and 27 more"]


def test_a_manifest_is_the_same_after_it_was_saved(folder: Path, tmp_path: Path) -> None:
    (folder / os.fsdecode(b"caf\xe9.jpg")).write_bytes(b"latin")
    manifest = describe_folder(folder, MOST)
    manifest.save(tmp_path / "manifest.jsonl")
    assert Manifest.load(tmp_path / "manifest.jsonl") == manifest
    assert len(manifest.sha256) == 64


def test_links_count_where_they_stay_inside_and_nothing_hangs_on_a_pipe(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"secret")
    (folder / "inner.jpg").symlink_to(folder / "cat" / "1.jpg")
    (folder / "outer.jpg").symlink_to(tmp_path / "secret")
    (folder / "loop").symlink_to(folder)
    (folder / "self").symlink_to(folder / "self")
    os.mkfifo(folder / "pipe.jpg")
    names = [entry.path for entry in describe_folder(folder, MOST).files]
    assert names == ["cat/1.jpg", "cat/2.jpg", "dog/1.jpg", "inner.jpg"]


def test_too_many_files_or_none_are_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(BadContent, match="more than 2 files"):
        describe_folder(folder, 2)
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadContent, match="no file"):
        describe_folder(tmp_path / "empty", MOST)
