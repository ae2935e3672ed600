"""Events that a worker notes beside its job, on a disk that may be full."""

from __future__ import annotations

import contextlib
import resource
from collections.abc import Iterator
from pathlib import Path

from learnfleet.server.workers.journal import journal_path, read_journal, unread_events
from learnfleet.server.workers.protocol import ExamineRun, RunRequest
from learnfleet.server.workers.run import Run

NAMES = [f"batch/{number}" for number in range(6)]


def a_run(job_dir: Path) -> Run:
    return Run(RunRequest("job", 1, ExamineRun({}), {}, None, None, str(job_dir), str(job_dir)), rank=0)


def emit(run: Run, names: list[str]) -> None:
    for name in names:
        run.emit(name, "batch", {"loss": 0.5})


def noted(job_dir: Path) -> list[str]:
    return [event.id for event in read_journal(journal_path(job_dir, 1, 0))]


@contextlib.contextmanager
def files_no_longer_than(size_bytes: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_disk_that_fills_up_within_a_line_neither_stops_a_run_nor_tears_its_journal(tmp_path: Path) -> None:
    run = a_run(tmp_path)
    emit(run, NAMES[:1])
    a_line_and_a_half = journal_path(tmp_path, 1, 0).stat().st_size * 3 // 2
    with files_no_longer_than(a_line_and_a_half):
        emit(run, NAMES[1:4])
        assert noted(tmp_path) == NAMES[:1]
        assert [event.id for event in run.status(0).events] == NAMES[:4], "they are told though they are not noted"
    emit(run, NAMES[4:])
    assert noted(tmp_path) == NAMES


def test_a_run_begins_where_not_even_its_folder_can_be_made(tmp_path: Path) -> None:
    in_the_way = tmp_path / "job"
    in_the_way.touch()
    run = a_run(in_the_way)
    emit(run, NAMES[:3])
    assert [event.id for event in run.status(0).events] == NAMES[:3]
    in_the_way.unlink()
    emit(run, NAMES[3:])
    assert noted(in_the_way) == NAMES


def test_a_journal_is_read_from_the_event_that_is_new(tmp_path: Path) -> None:
    run = a_run(tmp_path)
    emit(run, NAMES)
    assert [event.id for event in unread_events(tmp_path, 1, (4,))] == NAMES[4:]
    assert list(unread_events(tmp_path, 1, (6, 0))) == [], "rank 1 has noted nothing"


def test_what_could_not_be_noted_is_noted_when_the_run_ends(tmp_path: Path) -> None:
    run = a_run(tmp_path)
    with files_no_longer_than(1):
        emit(run, NAMES)
    with run.reporting():
        run.done({})
    assert noted(tmp_path) == NAMES
