"""Files of a run: tables, pictures, what an interpretation found, what the job was trained on."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from learnfleet.server.config import Config
from learnfleet.server.domain import Job, StoredEvent
from learnfleet.server.tracking.images import send_picture
from learnfleet.server.tracking.points import Seen
from learnfleet.server.tracking.sending import RunWriter
from learnfleet.server.tracking.tables import EPOCHS_CSV, EPOCHS_TABLE, epochs_csv, epochs_json, note_table, table_json
from learnfleet.server.workers.run import INTERPRETATION_DIR, INTERPRETATION_FILE, REPORT_FILE


def send_files(config: Config, writer: RunWriter, events: Sequence[StoredEvent], seen: Seen) -> None:
    """What the events, the last of them that are `seen`, tell of. Safe to repeat."""
    for stored in events:
        if stored.event.kind == "picture":
            _send_picture(config, writer, stored, seen)
        if stored.event.kind == "lr_found":
            _send_lr_finding(writer, stored)
    if any(stored.event.kind == "epoch" for stored in events):
        _send_text(writer, EPOCHS_CSV, epochs_csv(seen.rows))
        _send_table(writer, EPOCHS_TABLE, epochs_json(seen.rows))


def send_last_files(config: Config, writer: RunWriter, job: Job) -> None:
    """What only a job that has ended has."""
    folder = config.job_dir(job.learner_id, job.id) / INTERPRETATION_DIR
    for name in (INTERPRETATION_FILE, REPORT_FILE):
        if (folder / name).exists():
            send = partial(writer.client.log_artifact, writer.run_id, str(folder / name), INTERPRETATION_DIR)
            writer.attempt(name, send)


def _send_picture(config: Config, writer: RunWriter, stored: StoredEvent, seen: Seen) -> None:
    path = Path(stored.event.data["path"])
    if path.is_file() and config.data_dir.resolve() in path.resolve().parents:
        send_picture(writer, path, seen.step, seen.time_ms)
    else:
        writer.leave(f"picture {path.name}", "the file is not there")


def _send_lr_finding(writer: RunWriter, stored: StoredEvent) -> None:
    """The curve of a search as a table, and what it suggests as a tag each."""
    found = stored.event.data
    lines = list(zip(found["lrs"], found["losses"], strict=False))
    _send_table(writer, f"lr_find_{found['stage']}.json", table_json(["lr", "loss"], lines))
    suggestions = {rule: value for rule, value in found["suggestions"].items() if value is not None}
    writer.tag(f"learnfleet.lr_find.{found['stage']}", json.dumps(suggestions))


def _send_table(writer: RunWriter, name: str, text: str) -> None:
    _send_text(writer, name, text)
    writer.once(f"note of {name}", partial(note_table, writer.client, writer.run_id, name))


def _send_text(writer: RunWriter, name: str, text: str) -> None:
    writer.attempt(name, partial(writer.client.log_text, writer.run_id, text, name))
