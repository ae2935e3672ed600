"""Backups of a store at work, and stores that are made of them: SQLite, PostgreSQL, and from one to the other."""

from __future__ import annotations

import gzip
import itertools
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.postgres import PostgresServer
from support.store_values import a_job, a_learner, an_event, create, filled

from learnfleet.server.alone import InUse, alone_at
from learnfleet.server.config import Config
from learnfleet.server.domain import JobState
from learnfleet.server.errors import Deposed
from learnfleet.server.store import restore as restoring
from learnfleet.server.store.backup import BadBackup, NothingToBackUp, back_up, check_backup
from learnfleet.server.store.base import JobFilter, Page
from learnfleet.server.store.database import HEAD, UnknownVersion, move_to, unmigrated_database, version_of
from learnfleet.server.store.lease import SCHEDULER
from learnfleet.server.store.nobody import nobody_at
from learnfleet.server.store.restore import NotEmpty, restore
from learnfleet.server.store.sql import SqlStore

NewUrl = Callable[[], str]


@pytest.fixture
def new_url(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str], str]:
    """Of an empty database of a kind."""
    numbers = itertools.count()

    def make(kind: str) -> str:
        if kind == "sqlite":
            return f"sqlite:///{tmp_path / f'{next(numbers)}.db'}"
        server: PostgresServer = request.getfixturevalue("postgres")
        return server.new_database()

    return make


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, new_url: Callable[[str], str]) -> str:
    return new_url(request.param)


def rows_of(url: str, folder: Path) -> dict[str, list[Any]]:
    """All there is in a store, by table, without the last word of leases."""
    path = folder / "look.gz"
    back_up(url, path)
    lines = [json.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines()]
    found: dict[str, list[Any]] = {}
    for line in lines[1:-1]:
        found.setdefault(line[0], []).append(line[1:])
    return {table: sorted(rows, key=str) for table, rows in found.items() if table != "leases"}


@pytest.mark.parametrize("kinds", list(itertools.product(["sqlite", "postgresql"], repeat=2)), ids="-to-".join)
def test_a_restored_store_has_every_row_and_goes_on(
    kinds: tuple[str, str], new_url: Callable[[str], str], tmp_path: Path
) -> None:
    source, target = (new_url(kind) for kind in kinds)
    filled(source).close()
    told = back_up(source, tmp_path / "backup.gz")
    assert restore(tmp_path / "backup.gz", target) == told
    assert rows_of(target, tmp_path) == rows_of(source, tmp_path)
    assert (told.schema, told.rows["jobs"], told.rows["events"]) == (HEAD, 3, len(rows_of(source, tmp_path)["events"]))

    store = SqlStore(target)
    assert create(store, a_job("four", "pets", request_id="r4"), new_learner=False).id == "four"
    assert create(store, a_job("other", "pets", request_id="r1"), new_learner=False, fingerprint="f").id == "one"
    assert store.append_events("one", [an_event("b", "epoch"), an_event("c")]) == store.get_job("one").last_sequence
    store.close()


def test_a_backup_of_a_store_at_work_is_one_state_of_it(url: str, tmp_path: Path) -> None:
    """Each job has the events that it says it has, and none that was acknowledged before is missing."""
    store = SqlStore(url)
    store.create_job(a_job("first"), learner=a_learner(), fingerprint="f")
    acknowledged, stop, errors = ["first"], threading.Event(), list[Exception]()

    def work(name: str) -> None:
        try:
            for number in itertools.count():
                if stop.is_set():
                    return
                job = create(store, a_job(f"{name}-{number}", "pets"), new_learner=False)
                store.append_events(job.id, [an_event(f"{n}") for n in range(number % 4 + 1)])
                store.transition(job.id, JobState.CANCELLED, "enough")
                acknowledged.append(job.id)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(f"t{number}",)) for number in range(3)]
    for thread in threads:
        thread.start()
    made = []
    try:
        for number in range(4):
            before = list(acknowledged)
            made.append((before, back_up(url, tmp_path / f"{number}.gz").path))
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    store.close()

    assert errors == []
    assert len(acknowledged) > len(made[0][0])
    for number, (before, path) in enumerate(made):
        restored = SqlStore(_restored(path, f"sqlite:///{tmp_path / f'restored-{number}.db'}"))
        jobs = {job.id: job for job in _all_jobs(restored)}
        assert set(before) <= set(jobs)
        for job in jobs.values():
            numbers = [event.sequence for event in restored.read_events(job.id, 0)]
            assert numbers == list(range(1, job.last_sequence + 1))
        restored.close()


def _restored(path: Path, url: str) -> str:
    restore(path, url)
    return url


def _all_jobs(store: SqlStore) -> Iterator[Any]:
    token = ""
    while True:
        jobs, token = store.list_jobs(Page(100, token), JobFilter())
        yield from jobs
        if not token:
            return


def test_a_file_that_is_not_whole_is_refused_and_nothing_is_touched(tmp_path: Path) -> None:
    source = f"sqlite:///{tmp_path / 'source.db'}"
    filled(source).close()
    path, target = tmp_path / "backup.gz", f"sqlite:///{tmp_path / 'target.db'}"
    back_up(source, path)
    good = path.read_bytes()
    lines = gzip.decompress(good).splitlines(keepends=True)
    swapped = [*lines[:-2], lines[-2].replace(b"red", b"rod"), lines[-1]]
    damaged = [
        *(good[:cut] for cut in (0, 5, 100, len(good) // 2, len(good) - 1)),
        *(good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :] for at in range(10, len(good), 47)),
        gzip.compress(b"".join(lines[:-1])),
        gzip.compress(b"".join([*lines[:3], *lines[4:]])),
        gzip.compress(b"".join([*lines, b"[1]\n"])),
        gzip.compress(b'{"learnfleet_backup":99}\n'),
        gzip.compress(b"[]\n"),
        b"SQLite format 3\0" * 100,
        *([gzip.compress(b"".join(swapped))] if swapped != lines else []),
    ]
    for content in damaged:
        path.write_bytes(content)
        with pytest.raises(BadBackup):
            check_backup(path)
        with pytest.raises(BadBackup):
            restore(path, target)
    assert not (tmp_path / "target.db").exists()
    path.write_bytes(good)
    assert check_backup(path).rows["jobs"] == 3


def test_a_store_that_is_not_empty_is_replaced_only_when_it_is_said(url: str, tmp_path: Path) -> None:
    filled(url).close()
    path = tmp_path / "backup.gz"
    back_up(url, path)
    was = rows_of(url, tmp_path)
    store = SqlStore(url)
    create(store, a_job("later", "pets"), new_learner=False)
    store.close()

    with pytest.raises(NotEmpty, match=r"jobs.*--replace"):
        restore(path, url)
    assert len(rows_of(url, tmp_path)["jobs"]) == 4
    restore(path, url, replace=True)
    assert rows_of(url, tmp_path) == was


def test_a_restore_that_fails_in_its_middle_changes_nothing(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(url).close()
    path, was = tmp_path / "backup.gz", rows_of(url, tmp_path)
    back_up(url, path)
    monkeypatch.setattr(restoring, "_let_go", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        restore(path, url, replace=True)
    assert rows_of(url, tmp_path) == was


def test_a_database_of_somebody_else_is_left_alone(url: str, tmp_path: Path) -> None:
    source = f"sqlite:///{tmp_path / 'source.db'}"
    filled(source).close()
    back_up(source, tmp_path / "backup.gz")
    engine = unmigrated_database(url)
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE salaries (id INTEGER)")
    engine.dispose()
    with pytest.raises(NotEmpty, match="salaries"):
        restore(tmp_path / "backup.gz", url, replace=True)


def test_a_backup_of_an_older_version_is_brought_up_to_date(url: str, tmp_path: Path) -> None:
    filled(url).close()
    engine = unmigrated_database(url)
    assert move_to(engine, "0002") == HEAD
    told = back_up(url, tmp_path / "old.gz")
    with engine.connect() as connection:
        assert (told.schema, version_of(connection)) == ("0002", "0002")  # it was not migrated for it
    engine.dispose()
    target = f"sqlite:///{tmp_path / 'target.db'}"
    restore(tmp_path / "old.gz", target)
    store = SqlStore(target)
    assert {job.id for job in _all_jobs(store)} == {"one", "two", "three"}
    assert store.get_version("photos", 1, "red").path == "/data/x"
    store.close()


def test_a_backup_of_a_newer_version_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = f"sqlite:///{tmp_path / 'source.db'}"
    filled(source).close()
    back_up(source, tmp_path / "backup.gz")
    monkeypatch.setattr(restoring, "HEAD", "0001")
    with pytest.raises(BadBackup, match="use a newer one"):
        restore(tmp_path / "backup.gz", f"sqlite:///{tmp_path / 'target.db'}")


def test_a_server_of_before_is_refused_by_a_restored_store(url: str, tmp_path: Path) -> None:
    store = filled(url)
    first = store.take_lease(SCHEDULER, "old", None)
    assert first is not None
    back_up(url, tmp_path / "backup.gz")
    second = store.take_lease(SCHEDULER, "newer", store.get_lease(SCHEDULER))
    assert second is not None
    store.close()
    restore(tmp_path / "backup.gz", url, replace=True)

    store = SqlStore(url)
    lease = store.get_lease(SCHEDULER)
    assert lease is not None
    assert (lease.holder, lease.term) == (None, second.term)
    for old in (first, second):
        with pytest.raises(Deposed):
            store.fenced(old).set_reasons({"one": "x"})
    store.close()


def test_there_must_be_a_store_to_back_up(tmp_path: Path) -> None:
    with pytest.raises(NothingToBackUp):
        back_up(f"sqlite:///{tmp_path / 'none.db'}", tmp_path / "backup.gz")
    assert list(tmp_path.iterdir()) == []


def test_nobody_may_be_at_work_on_a_store_that_is_replaced(url: str, tmp_path: Path) -> None:
    config = Config(tmp_path, store=None if url.startswith("sqlite") else url, lease_s=0.5)
    if config.is_alone:
        with alone_at(config), pytest.raises(InUse), nobody_at(config):
            pass
    else:
        store = SqlStore(url)
        lease, stop = store.take_lease(SCHEDULER, "alive", None), threading.Event()
        assert lease is not None

        def beat() -> None:
            while not stop.wait(0.05):
                store.renew_lease(lease)

        thread = threading.Thread(target=beat)
        thread.start()
        try:
            with pytest.raises(InUse, match="server alive"), nobody_at(config):
                pass
        finally:
            stop.set()
            thread.join()
        store.close()
    with nobody_at(config):  # one that has died holds nothing up
        pass


def test_versions_of_the_tables_that_are_not_known_are_named(tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path / 'store.db'}"
    filled(store).close()
    engine = unmigrated_database(store)
    with pytest.raises(UnknownVersion, match=r"version 0099 .* there are 0001, 0002, 0003"):
        move_to(engine, "0099")
    assert move_to(engine, HEAD) == HEAD
    engine.dispose()


def test_the_commands_say_what_they_did_and_what_is_wrong(tmp_path: Path) -> None:
    data, other = tmp_path / "data", tmp_path / "other"
    data.mkdir()
    filled(f"sqlite:///{data / 'learnfleet.db'}").close()

    made = run("backup", "b.gz", "--data-dir", "data", folder=tmp_path)
    assert made.returncode == 0, made.stderr
    assert "3  jobs" in made.stdout
    assert (tmp_path / "b.gz").stat().st_mode & 0o077 == 0
    told = json.loads(run("restore", "b.gz", "--data-dir", "other", "--json", folder=tmp_path).stdout)
    assert told["rows"]["jobs"] == 3
    again = run("restore", "b.gz", "--data-dir", "other", folder=tmp_path)
    assert (again.returncode, "--replace" in again.stderr) == (1, True)
    with alone_at(Config(other)):
        busy = run("restore", "b.gz", "--data-dir", "other", "--replace", folder=tmp_path)
    assert (busy.returncode, "another server works" in busy.stderr) == (1, True)
    down = run("migrate", "--to", "0002", "--data-dir", "other", folder=tmp_path)
    assert (down.returncode, down.stdout.strip()) == (0, f"the store's tables have version 0002, and had {HEAD}")


def run(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from learnfleet.client.cli.main import main; main()", *arguments]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False)
