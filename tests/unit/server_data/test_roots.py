"""What clients name lies beneath a declared root, on this machine or another storage."""

from __future__ import annotations

from pathlib import Path

import pytest

from learnfleet.server.data.roots import DataRoots, RemoteFolder
from learnfleet.server.errors import InvalidArgument


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "root" / "pets").mkdir(parents=True)
    (tmp_path / "root" / "file.txt").write_text("x")
    (tmp_path / "secret").mkdir()
    (tmp_path / "root" / "door").symlink_to(tmp_path / "secret")
    return tmp_path / "root"


@pytest.fixture
def roots(root: Path) -> DataRoots:
    return DataRoots([root, "s3://bucket/sets", "memory://lab"])


@pytest.mark.parametrize("form", ["pets", "{root}/pets", "file://{root}/pets"])
def test_a_folder_of_this_machine_has_three_names(form: str, roots: DataRoots, root: Path) -> None:
    assert roots.resolve_uri(form.format(root=root), "uri") == root / "pets"


@pytest.mark.parametrize(
    ("uri", "path"), [("s3://bucket/sets/pets/", "bucket/sets/pets"), ("s3://bucket//sets", "bucket/sets")]
)
def test_a_folder_of_another_storage_is_named_by_its_url(uri: str, path: str, roots: DataRoots) -> None:
    assert roots.resolve_uri(uri, "uri") == RemoteFolder("s3", path)


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "s3://bucket/setsuna",
        "s3://bucket",
        "s3://other/sets/pets",
        "s3://bucket/sets/../other",
        "s3://bucket/sets/./pets",
        "S3://bucket/sets",
        "gs://bucket/sets",
        "memory://laboratory",
        "zip://x::s3://bucket/sets/a.zip",
        "s3://bucket/sets/a.zip::memory://lab",
        "http://169.254.169.254/latest/meta-data",
        "s3://user:password@bucket/sets",
        "file:///etc",
        "file:///../../etc",
        "file://door",
        "door",
        "/etc",
        "../secret",
        "file.txt",
        "missing",
        "s3://bucket/sets/new\nline",
        "local:///etc",
        "x" * 5000,
        "a\0b",
    ],
)
def test_everything_else_is_refused_by_the_name_of_its_field(uri: str, roots: DataRoots) -> None:
    with pytest.raises(InvalidArgument) as caught:
        roots.resolve_uri(uri, "uri")
    assert [violation.field for violation in caught.value.violations] == ["uri"]


@pytest.mark.parametrize("root", ["://x", "s3://", "s3://a/../b"])
def test_a_root_that_is_neither_a_path_nor_a_url_is_refused(root: str) -> None:
    with pytest.raises(ValueError, match=r"must be of the form|is no URL"):
        DataRoots([root])


def test_the_servers_own_files_are_no_data_though_they_lie_in_a_root(root: Path) -> None:
    (root / ".learnfleet" / "datasets").mkdir(parents=True)
    roots = DataRoots([root], kept=root / ".learnfleet")
    assert roots.resolve("pets", "path") == root / "pets"
    for path in (".learnfleet", ".learnfleet/datasets", "pets/../.learnfleet"):
        with pytest.raises(InvalidArgument):
            roots.resolve(path, "path")
