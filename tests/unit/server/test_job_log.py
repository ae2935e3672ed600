"""A job's log: what ranks write, gathered in an order that never changes."""

from __future__ import annotations

import json
import logging
import signal
import subprocess
import sys
import warnings
from pathlib import Path

from learnfleet.server.scheduling.job_log import LOG_FILE, JobLog, LogReader
from learnfleet.server.workers import rank_log
from learnfleet.server.workers.rank_log import logging_to, rank_log_path
from learnfleet.server.workers.stacks import all_stacks, crash_path, crashes_to

OURS = logging.getLogger("learnfleet.trainer.anything")
OTHERS = logging.getLogger("somebody.else")


def messages(folder: Path, after: int = 0) -> list[str]:
    return [entry["message"] for entry in LogReader(folder / LOG_FILE, after).next()]


def say(folder: Path, rank: int, *said: str, attempt: int = 1) -> None:
    with logging_to(rank_log_path(folder, attempt, rank)):
        for text in said:
            OURS.info(text)


def test_a_rank_writes_what_our_loggers_say_what_others_warn_of_and_tracebacks(tmp_path: Path) -> None:
    with logging_to(rank_log_path(tmp_path, 1, 0)):
        OURS.info("epoch %s", 1)
        OTHERS.info("too much of it")
        OTHERS.warning("careful")
        warnings.warn("old", stacklevel=1)
        try:
            raise ValueError("broken")
        except ValueError:
            OURS.exception("it failed")
    OURS.info("afterwards")
    lines = [json.loads(line) for line in rank_log_path(tmp_path, 1, 0).read_text().splitlines()]
    assert [line["severity"] for line in lines] == ["info", "warning", "warning", "error"]
    assert lines[0]["message"] == "epoch 1"
    assert "old" in lines[2]["message"]
    assert lines[3]["message"].startswith("it failed\nTraceback")
    assert lines[3]["message"].endswith("ValueError: broken")


def test_a_rank_that_says_too_much_still_says_why_it_fails(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(rank_log, "_MOST_LINES", 3)
    with logging_to(rank_log_path(tmp_path, 1, 0)):
        for number in range(10):
            OURS.info("line %s", number)
        OURS.error("the end")
    lines = rank_log_path(tmp_path, 1, 0).read_text().splitlines()
    assert [json.loads(line)["message"] for line in lines] == ["line 0", "line 1", "line 2", "the end"]


def test_lines_of_all_ranks_are_gathered_once_and_by_their_times(tmp_path: Path) -> None:
    log = JobLog(tmp_path)
    say(tmp_path, 1, "first")
    say(tmp_path, 0, "second")
    assert log.collect(1, 2, at_once=True)
    assert not log.collect(1, 2, at_once=True)
    say(tmp_path, 1, "third")
    assert log.collect(1, 2, at_once=True)
    assert messages(tmp_path) == ["first", "second", "third"]
    assert messages(tmp_path, after=2) == ["third"]


def test_a_log_goes_on_where_another_server_left_it(tmp_path: Path) -> None:
    say(tmp_path, 0, "one")
    JobLog(tmp_path).collect(1, 1, at_once=True)
    say(tmp_path, 0, "two")
    say(tmp_path, 0, "three", attempt=2)
    log = JobLog(tmp_path)
    log.collect_all()
    log.say(2, "error", "the attempt failed")
    assert messages(tmp_path) == ["one", "two", "three", "the attempt failed"]
    assert [entry["rank"] for entry in LogReader(tmp_path / LOG_FILE).next()] == [0, 0, 0, -1]


def test_a_log_is_read_in_parts_and_on_as_it_grows(tmp_path: Path) -> None:
    log, reader = JobLog(tmp_path), LogReader(tmp_path / LOG_FILE, 1)
    assert reader.next() == []
    for number in range(5):
        log.say(1, "info", str(number))
    assert [entry["message"] for entry in reader.next(2)] == ["1", "2"]
    assert [entry["line"] for entry in reader.next(9)] == [4, 5]
    log.say(1, "info", "5")
    assert [entry["line"] for entry in reader.next(9)] == [6]


def test_a_line_in_the_making_is_gathered_when_it_is_whole(tmp_path: Path) -> None:
    say(tmp_path, 0, "whole")
    path = rank_log_path(tmp_path, 1, 0)
    line = path.read_bytes()
    path.write_bytes(line + line[:20])
    log = JobLog(tmp_path)
    log.collect(1, 1, at_once=True)
    assert messages(tmp_path) == ["whole"]
    path.write_bytes(line + line)
    log.collect(1, 1, at_once=True)
    assert messages(tmp_path) == ["whole", "whole"]


def test_stacks_name_the_place_where_a_thread_stands() -> None:
    from threading import Event, Thread

    goes_on = Event()
    thread = Thread(target=goes_on.wait, name="torch_0", daemon=True)
    thread.start()
    told = all_stacks()
    goes_on.set()
    thread.join()
    assert told.startswith("thread torch_0:")
    assert "wait" in told


CRASHES = """
import faulthandler, pathlib, sys
from learnfleet.server.workers.stacks import crash_path, crashes_to

def a_native_step():
    faulthandler._sigsegv()

with crashes_to(crash_path(pathlib.Path(sys.argv[1]), 2, 1)):
    a_native_step()
"""


def test_a_rank_that_a_fault_of_native_code_has_ended_left_its_stacks(tmp_path: Path) -> None:
    died = subprocess.run([sys.executable, "-c", CRASHES, str(tmp_path)], capture_output=True, check=False)
    assert died.returncode == -signal.SIGSEGV, died.stderr.decode()
    JobLog(tmp_path).say_crashes(2, 2)
    (told,) = LogReader(tmp_path / LOG_FILE).next()
    assert told["message"].startswith("rank 1 was ended by a fault of native code")
    assert "a_native_step" in told["message"]


def test_a_run_that_ends_otherwise_leaves_no_stacks(tmp_path: Path) -> None:
    with crashes_to(crash_path(tmp_path, 1, 0)):
        assert crash_path(tmp_path, 1, 0).exists()
    assert not crash_path(tmp_path, 1, 0).exists()
