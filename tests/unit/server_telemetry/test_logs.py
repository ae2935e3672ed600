"""Lines of the log, for people and for machines."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime
from threading import Thread
from typing import Any

import pytest

from learnfleet.server.telemetry import calls
from learnfleet.server.telemetry.calls import Call
from learnfleet.server.telemetry.log_fields import log_fields
from learnfleet.server.telemetry.logs import LogFormat, LogSettings, handler_of
from learnfleet.server.telemetry.trace_context import TraceContext


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    stream = io.StringIO()
    yield stream
    stream.close()


@pytest.fixture
def log(written: io.StringIO) -> Iterator[logging.Logger]:
    """A logger that writes JSON lines to `written`."""
    logger = logging.getLogger("learnfleet.test")
    handler = handler_of(LogSettings(LogFormat.JSON), written, lambda: {"server": "a"})
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield logger
    logger.removeHandler(handler)


def lines(written: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in written.getvalue().splitlines()]


def test_a_line_says_when_how_bad_who_and_what(log: logging.Logger, written: io.StringIO) -> None:
    log.warning("%d workers\nare gone", 2)

    [line] = lines(written)
    at = datetime.fromisoformat(line.pop("time"))
    assert at.utcoffset() is not None
    assert abs((datetime.now(UTC) - at).total_seconds()) < 60
    assert line == {
        "level": "WARNING",
        "logger": "learnfleet.test",
        "message": "2 workers\nare gone",
        "server": "a",
    }


def test_an_error_brings_its_traceback_in_the_same_line(log: logging.Logger, written: io.StringIO) -> None:
    try:
        raise ValueError("postgresql://u:hunter2@db")
    except ValueError:
        log.exception("it failed")

    [line] = lines(written)
    assert line["exception"].startswith("Traceback")
    assert line["exception"].endswith("ValueError: postgresql://u:***@db")


def test_lines_have_the_job_that_the_thread_works_on(log: logging.Logger, written: io.StringIO) -> None:
    def work(job: str) -> None:
        with log_fields(job=job, learner="learners/l"), log_fields(rank=1):
            log.info("begins")
        log.info("is over")

    for job in ("jobs/a", "jobs/b"):
        thread = Thread(target=work, args=(job,))
        thread.start()
        thread.join()

    found = [(line.get("job"), line.get("rank")) for line in lines(written)]
    assert found == [("jobs/a", 1), (None, None), ("jobs/b", 1), (None, None)]


def test_lines_of_a_call_have_its_method_request_and_trace(log: logging.Logger, written: io.StringIO) -> None:
    call = Call("learnfleet.v1.JobService/GetJob", "ipv4:1", TraceContext("a" * 32, "b" * 16, True), tenant="vision")

    def handle() -> None:
        calls.enter(call)
        log.error("it failed")

    thread = Thread(target=handle)
    thread.start()
    thread.join()

    [line] = lines(written)
    told = {name: line[name] for name in ("method", "tenant", "trace_id", "request_id")}
    assert told == {
        "method": "learnfleet.v1.JobService/GetJob",
        "tenant": "vision",
        "trace_id": "a" * 32,
        "request_id": call.request_id,
    }


def test_lines_for_people_mask_secrets_too(written: io.StringIO) -> None:
    handler = handler_of(LogSettings(LogFormat.TEXT), written)
    record = logging.LogRecord("learnfleet", logging.INFO, "", 0, "MLflow %s", ("http://u:hunter2@mlflow",), None)

    handler.handle(record)

    assert written.getvalue().endswith(" INFO learnfleet: MLflow http://u:***@mlflow\n")


def test_settings_reach_child_processes_by_the_environment() -> None:
    settings = LogSettings(LogFormat.JSON, "warning")

    assert LogSettings.of_environment(settings.to_environment()) == settings
