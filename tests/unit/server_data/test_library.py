"""Summaries are made whatever happens to a server, and nothing that it left behind stays for ever."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection
from support.pictures import a_class_folder
from support.uploads import until

from learnfleet.server.config import Config
from learnfleet.server.data.library import DatasetLibrary, Origin
from learnfleet.server.data.values import DatasetState
from learnfleet.server.failpoints import InjectedFault
from learnfleet.server.store.sql import SqlStore

ORIGIN = Origin("pets", "default")


@pytest.fixture
def config(tmp_path: Path) -> Config:
    (tmp_path / "data").mkdir()
    return Config(tmp_path / "data")


@pytest.fixture
def store(config: Config) -> Iterator[SqlStore]:
    made = SqlStore(config.store_url)
    yield made
    made.close()


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    return a_class_folder(tmp_path / "pets" / "cat", 3).parent


def state(store: SqlStore) -> DatasetState:
    return store.get_version("pets", 1, None).state


def test_a_summary_that_an_earlier_server_left_is_made_by_the_next(
    config: Config, store: SqlStore, pictures: Path
) -> None:
    DatasetLibrary(config, store).register(pictures, ORIGIN)  # never started: it died
    assert state(store) is DatasetState.PENDING
    library = DatasetLibrary(config, store)
    library.start()
    until(lambda: state(store), lambda now: now is DatasetState.READY)
    library.close()


def test_a_version_that_cannot_be_looked_at_says_why_and_is_looked_at_again_when_it_is_registered_again(
    config: Config, store: SqlStore, pictures: Path
) -> None:
    library = DatasetLibrary(config, store)
    version = library.register(pictures, ORIGIN)
    pictures.rename(pictures.with_name("elsewhere"))
    library.start()
    until(lambda: state(store), lambda now: now is DatasetState.FAILED)
    assert "No such file" in store.get_version("pets", 1, None).reason
    pictures.with_name("elsewhere").rename(pictures)
    assert library.register(pictures, ORIGIN).version == version.version
    until(lambda: state(store), lambda now: now is DatasetState.READY)
    library.close()


def test_a_server_that_stops_does_not_wait_for_a_summary(config: Config, store: SqlStore, pictures: Path) -> None:
    os.mkfifo(pictures / "cat" / "pipe")  # whoever opened it would wait for ever; nobody does
    library = DatasetLibrary(config, store)
    library.start()
    library.register(pictures, ORIGIN)
    library.close()
    assert state(store) in (DatasetState.PENDING, DatasetState.READY)


def test_what_a_server_that_died_has_left_is_removed_a_day_later(
    config: Config, store: SqlStore, pictures: Path
) -> None:
    library = DatasetLibrary(config, store)
    library.register(pictures, ORIGIN)
    places = [config.data_dir / "datasets" / name for name in (".new/abandoned", "pets/orphan", ".new/young")]
    for place in places:
        (place / "cat").mkdir(parents=True)
    for place in places[:2]:
        os.utime(place, (time.time() - 90_000,) * 2)
    library.start()
    until(lambda: [place.exists() for place in places], lambda there: there == [False, False, True])
    until(lambda: state(store), lambda now: now is DatasetState.READY)
    library.close()


class Failing(SqlStore):
    """Says of each of its first so many writes of a kind that it failed, before or after it was made."""

    def __init__(self, url: str, what: str, times: int, *, is_made: bool) -> None:
        super().__init__(url)
        self._what, self._left, self._is_made = what, times, is_made

    @contextlib.contextmanager
    def _writing(self, what: str) -> Iterator[Connection]:
        fails = what == self._what and self._left > 0
        self._left -= fails
        with super()._writing(what) as connection:
            yield connection
            if fails and not self._is_made:
                raise InjectedFault(what)
        if fails:
            raise InjectedFault(what)


def test_a_summary_that_cannot_be_written_at_first_is_written_later(config: Config, pictures: Path) -> None:
    store = Failing(config.store_url, "set_summary", 2, is_made=False)
    library = DatasetLibrary(config, store)
    library.start()
    library.register(pictures, ORIGIN)
    until(lambda: state(store), lambda now: now is DatasetState.READY)
    library.close()
    store.close()


@pytest.mark.parametrize("is_made", [True, False])
def test_a_version_whose_write_is_said_to_have_failed_has_its_files_if_it_was_made(
    is_made: bool, config: Config, pictures: Path
) -> None:
    store = Failing(config.store_url, "add_version", 1, is_made=is_made)
    library = DatasetLibrary(config, store)
    library.start()
    with library._workspace() as folder:
        shutil.copytree(pictures, folder, dirs_exist_ok=True)
        with pytest.raises(InjectedFault):
            library._add_copy(folder, ORIGIN)
    there = list((config.data_dir / "datasets").rglob("*.png"))
    assert len(there) == (3 if is_made else 0)
    if is_made:
        until(lambda: state(store), lambda now: now is DatasetState.READY)
        assert sorted(Path(store.get_version("pets", 1, None).path).rglob("*.png")) == sorted(there)
    library.close()
    store.close()
