"""What every store promises of data sets."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from support.postgres import PostgresServer

from learnfleet.server.data.values import DatasetState, DatasetVersion, Upload
from learnfleet.server.errors import AlreadyExists, InvalidArgument, NotFound, ResourceExhausted
from learnfleet.server.store.base import Page, Store
from learnfleet.server.store.datasets import ByteQuota
from learnfleet.server.store.sql import SqlStore

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
US, THEM = "default", "them"


class Clock:
    """Moves by a minute with each reading."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        self.now += timedelta(minutes=1)
        return self.now


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    url = f"sqlite:///{tmp_path / 'store.db'}"
    if request.param == "postgresql":
        server: PostgresServer = request.getfixturevalue("postgres")
        url = server.new_schema()
    opened = SqlStore(url, clock=Clock())
    yield opened
    opened.close()


def a_version(content: str, dataset_id: str = "pets", **fields: object) -> DatasetVersion:
    version = DatasetVersion(dataset_id, 0, DatasetState.PENDING, "", "", f"/data/{content}", content * 64, 3, 300, NOW)
    return dataclasses.replace(version, **fields)  # type: ignore[arg-type]


def an_upload(upload_id: str = "u1", **fields: object) -> Upload:
    return dataclasses.replace(Upload(upload_id, "pets", US, "tar", 1000, 0, NOW, NOW), **fields)  # type: ignore[arg-type]


def numbers(store: Store, dataset_id: str = "pets") -> list[int]:
    return [version.version for version in store.get_dataset(dataset_id, US).versions]


def test_versions_are_numbered_and_the_newest_is_first(store: Store) -> None:
    for content in "abc":
        store.add_version(a_version(content), US, "")
    assert numbers(store) == [3, 2, 1]
    assert store.get_version("pets", None, US).path == "/data/c"
    assert store.get_version("pets", 1, US).path == "/data/a"
    assert store.get_version("pets", 1, None).path == "/data/a"


def test_request_ids_are_each_tenants_own(store: Store) -> None:
    ours = store.add_version(a_version("a", request_id="r"), US, "f")
    theirs = store.add_version(a_version("b", "dogs", request_id="r"), THEM, "g")
    assert (ours.dataset_id, theirs.dataset_id) == ("pets", "dogs")
    assert store.version_of_request("r", "f", US) == ours
    assert store.version_of_request("r", "g", THEM) == theirs
    with pytest.raises(AlreadyExists):
        store.version_of_request("r", "f", THEM)


def test_a_tenant_begins_no_more_uploads_than_it_may(store: Store) -> None:
    for name in ("one", "two"):
        store.begin_upload(an_upload(name), most=2)
    with pytest.raises(ResourceExhausted, match=f"tenant {US} has begun 2 uploads"):
        store.begin_upload(an_upload("three"), most=2)
    assert store.begin_upload(an_upload("two"), most=2).id == "two"
    store.begin_upload(an_upload("theirs", tenant=THEM), most=2)
    store.delete_upload("one")
    store.begin_upload(an_upload("three"), most=2)


def test_versions_that_are_made_at_once_get_a_number_each(store: Store) -> None:
    contents = [f"{number:x}" for number in range(8)] * 2
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda content: store.add_version(a_version(content), US, ""), contents))
    assert sorted({version.version for version in made}) == list(range(1, 9))
    assert len({(version.version, version.sha256) for version in made}) == 8


def test_the_same_content_is_the_version_that_is_there(store: Store) -> None:
    first = store.add_version(a_version("a"), US, "")
    store.add_version(a_version("b"), US, "")
    again = store.add_version(a_version("a", path="/elsewhere"), US, "")
    assert again == first
    assert numbers(store) == [2, 1]
    assert store.add_version(a_version("a", dataset_id="other"), US, "").dataset_id == "other"


def test_a_repeated_request_gets_the_version_that_it_made_first(store: Store) -> None:
    first = store.add_version(a_version("a", request_id="r1"), US, "print")
    assert store.add_version(a_version("b", request_id="r1"), US, "print") == first
    assert store.version_of_request("r1", "print", US) == first
    assert store.version_of_request("r2", "print", US) is None
    assert store.version_of_request("r1", "print", THEM) is None
    for call in (
        lambda: store.add_version(a_version("b", request_id="r1"), US, "other"),
        lambda: store.version_of_request("r1", "other", US),
    ):
        with pytest.raises(AlreadyExists):
            call()


def test_data_sets_of_others_are_not_there_and_their_names_are_taken(store: Store) -> None:
    store.add_version(a_version("a"), THEM, "")
    calls: list[Callable[[], object]] = [
        lambda: store.get_dataset("pets", US),
        lambda: store.get_version("pets", None, US),
        lambda: store.delete_dataset("pets", US),
    ]
    for call in calls:
        with pytest.raises(NotFound):
            call()
    assert store.list_datasets(Page(), US) == ([], "")
    with pytest.raises(AlreadyExists):
        store.add_version(a_version("b"), US, "")


def test_a_number_is_never_given_twice_even_after_a_deletion(store: Store) -> None:
    store.add_version(a_version("a", request_id="r1"), US, "")
    store.add_version(a_version("b"), US, "")
    assert [version.version for version in store.delete_dataset("pets", US)] == [2, 1]
    for call in (lambda: store.get_dataset("pets", US), lambda: store.get_version("pets", 1, None)):
        with pytest.raises(NotFound):
            call()
    assert store.list_datasets(Page(), US)[0] == []
    assert store.pending_versions() == []
    assert store.version_paths() == set()
    assert store.add_version(a_version("a", request_id="r1"), THEM, "").version == 3
    assert store.get_version("pets", None, THEM).version == 3


def test_lists_come_in_pages_with_the_newest_version_of_each(store: Store) -> None:
    for name in ("one", "two", "three"):
        store.add_version(a_version("a", dataset_id=name), US, "")
    store.add_version(a_version("b", dataset_id="one"), US, "")
    store.add_version(a_version("a", dataset_id="four"), THEM, "")
    first, token = store.list_datasets(Page(2), US)
    rest, end = store.list_datasets(Page(2, token), US)
    assert [dataset.id for dataset in (*first, *rest)] == ["three", "two", "one"]
    assert [version.version for version in rest[0].versions] == [2]
    assert end == ""
    with pytest.raises(InvalidArgument):
        store.list_datasets(Page(2, "nonsense"), US)


def test_a_summary_makes_a_version_ready_and_a_reason_failed(store: Store) -> None:
    for content in "ab":
        store.add_version(a_version(content), US, "")
    assert [version.version for version in store.pending_versions()] == [1, 2]
    store.set_summary("pets", 1, {"pictures": 3, "names": ["caf\udce9"]}, "")
    store.set_summary("pets", 2, None, "the process was killed")
    store.set_summary("gone", 1, None, "nobody minds")
    newest, oldest = store.get_dataset("pets", US).versions
    assert (oldest.state, oldest.summary) == (DatasetState.READY, {"pictures": 3, "names": ["caf\\udce9"]})
    assert (newest.state, newest.reason) == (DatasetState.FAILED, "the process was killed")
    assert store.pending_versions() == []


def test_an_upload_moves_forwards_only_and_is_there_until_it_is_deleted(store: Store) -> None:
    assert store.begin_upload(an_upload()) == an_upload()
    store.advance_upload("u1", 500, None)
    store.advance_upload("u1", 400, None)
    store.advance_upload("u1", 1000, "a" * 64)
    there = store.begin_upload(an_upload())
    assert (there.received_bytes, there.sha256) == (1000, "a" * 64)
    assert store.get_upload("u1", US) == there
    with pytest.raises(NotFound):
        store.get_upload("u1", THEM)
    store.delete_upload("u1")
    store.delete_upload("u1")
    store.advance_upload("u1", 1000, None)
    with pytest.raises(NotFound):
        store.get_upload("u1", US)


@pytest.mark.parametrize("other", [{"size_bytes": 1001}, {"format": "zip"}, {"tenant": THEM}, {"sha256": "b" * 64}])
def test_an_upload_id_stands_for_one_content(other: dict[str, object], store: Store) -> None:
    store.begin_upload(an_upload(sha256="a" * 64))
    with pytest.raises(AlreadyExists):
        store.begin_upload(an_upload(**other))


def test_uploads_that_nothing_came_of_are_stale(store: Store) -> None:
    store.begin_upload(an_upload("old"))
    store.begin_upload(an_upload("new"))
    store.advance_upload("new", 1, None)
    assert [upload.id for upload in store.stale_uploads(NOW + timedelta(seconds=1))] == ["old"]


def test_a_quota_counts_what_lies_beneath_its_folder_and_what_is_on_its_way(store: Store) -> None:
    quota = ByteQuota(1000, "/data/")
    store.add_version(a_version("a", path="/elsewhere/a", size_bytes=5000), US, "", quota)  # registered where it lies
    store.add_version(a_version("b", size_bytes=600), US, "", quota)
    store.add_version(a_version("c", "dogs", size_bytes=1000), THEM, "", quota)
    store.begin_upload(an_upload(size_bytes=400), quota=quota)

    with pytest.raises(ResourceExhausted, match="has 600 bytes of data sets here and 400 on their way; 1 more"):
        store.begin_upload(an_upload("u2", size_bytes=1), quota=quota)
    with pytest.raises(ResourceExhausted):
        store.add_version(a_version("d", size_bytes=1), US, "", quota)
    assert store.begin_upload(an_upload(size_bytes=400), quota=quota).id == "u1"  # one that goes on asks for no more
    with pytest.raises(ResourceExhausted):  # its upload is not counted besides it, but all else is
        store.add_version(a_version("d", request_id="u1", size_bytes=401), US, "", quota)
    store.add_version(a_version("d", request_id="u1", size_bytes=400), US, "", quota)
    store.delete_upload("u1")
    store.delete_dataset("pets", US)
    store.begin_upload(an_upload("u3", size_bytes=1000), quota=quota)


def test_uploads_that_begin_at_once_share_the_quota(store: Store) -> None:
    quota = ByteQuota(3000, "/data/")

    def begins(number: int) -> bool:
        try:
            store.begin_upload(an_upload(f"u{number}", size_bytes=1000), quota=quota)
        except ResourceExhausted:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(begins, range(16))) == 3
