"""What commands print: tables for people, JSON for machines."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Annotated, Any

import typer

from learnfleet.client.arrays import Array
from learnfleet.client.client import ADDRESS_VARIABLE
from learnfleet.client.events import Event
from learnfleet.client.job import Job
from learnfleet.client.live import follow
from learnfleet.client.recorder import Recorder

Server = Annotated[
    str | None,
    typer.Option("--server", envvar=ADDRESS_VARIABLE, help="host:port of the server. Default: 127.0.0.1:8470."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Machine-readable output on stdout, one JSON object a line.")]


def to_json(value: Any) -> Any:
    """A result or event as JSON-able data. Bytes are left out: pictures go to files."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = ((field.name, getattr(value, field.name)) for field in dataclasses.fields(value))
        return {name: to_json(item) for name, item in fields if not isinstance(item, bytes)}
    if isinstance(value, dict):
        return {key: to_json(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [to_json(item) for item in value]
    if isinstance(value, Array):
        return value.tolist()
    return value.isoformat() if isinstance(value, datetime) else value


def emit(value: Any) -> None:
    """One line of JSON on stdout."""
    sys.stdout.write(json.dumps(to_json(value)) + "\n")
    sys.stdout.flush()


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A table on stdout."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    made = Table(box=box.SIMPLE)
    for column in columns:
        made.add_column(column, overflow="fold", no_wrap=column in ("job", "learner"))
    for row in rows:
        made.add_row(*(str(cell) for cell in row))
    Console().print(made, markup=False, highlight=False)


def watch(job: Job, *, as_json: bool, after: int = 0) -> Recorder:
    """Follow a job to its end. Raises JobFailedError, JobCancelledError."""
    recorder = Recorder()
    events = job.watch(after)
    for event in events if as_json else follow(events):
        recorder.take(event)
        if as_json:
            emit_event(event)
    job.refresh()
    if as_json:
        emit({"job": job.info})
    job.check()
    return recorder


def emit_event(event: Event) -> None:
    emit({"event": event})
