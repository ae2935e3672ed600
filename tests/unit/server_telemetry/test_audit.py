"""The audit log: lines are there before their callers are answered, only ever added, and never of use to a thief."""

from __future__ import annotations

import asyncio
import json
import os
import stat
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from learnfleet.server.telemetry.audit import AuditLog, Entry

ENTRY = Entry(
    method="learnfleet.v1.JobService/CancelJob",
    code="OK",
    peer="ipv4:10.0.0.1:5000",
    tenant="vision",
    subject="ada",
    role="user",
    request_id="r-1",
    resources=("jobs/a",),
    duration_s=0.012,
    trace_id="a" * 32,
)


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_line_is_in_the_file_when_the_write_is_over(tmp_path: Path) -> None:
    path = tmp_path / "logs" / "audit.jsonl"
    log = AuditLog(str(path), "server-1")

    asyncio.run(log.write(ENTRY))

    [line] = lines(path)
    assert line.pop("time").endswith("+00:00")
    assert line == {
        "event": "audit",
        "method": "learnfleet.v1.JobService/CancelJob",
        "code": "OK",
        "subject": "ada",
        "role": "user",
        "tenant": "vision",
        "resources": ["jobs/a"],
        "request_id": "r-1",
        "peer": "ipv4:10.0.0.1:5000",
        "duration_s": 0.012,
        "trace_id": "a" * 32,
        "server": "server-1",
    }
    log.close()


def test_a_later_server_adds_to_what_is_there(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    for name in ("r-1", "r-2"):
        log = AuditLog(str(path))
        asyncio.run(log.write(replace(ENTRY, request_id=name)))
        log.close()

    assert [line["request_id"] for line in lines(path)] == ["r-1", "r-2"]


def test_the_file_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    AuditLog(str(path)).close()

    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_what_is_submitted_is_written_by_the_end(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    log = AuditLog(str(path))
    for number in range(50):
        log.submit(replace(ENTRY, request_id=f"r-{number}"))
    log.close()

    assert [line["request_id"] for line in lines(path)] == [f"r-{number}" for number in range(50)]


def test_lines_are_synced_to_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append(os.lseek(descriptor, 0, os.SEEK_END)))
    path = tmp_path / "audit.jsonl"
    log = AuditLog(str(path))
    asyncio.run(log.write(ENTRY))
    log.close()

    assert synced[-1] == path.stat().st_size


def test_a_line_that_cannot_be_written_is_counted_and_fails_nobody(caplog: pytest.LogCaptureFixture) -> None:
    lost: list[str] = []
    log = AuditLog("/dev/full", failed=lambda: lost.append("line"))

    asyncio.run(log.write(ENTRY))

    assert lost == ["line"]
    assert "CancelJob OK by 'ada' of tenant vision" in caplog.text
    log.close()


def test_a_file_that_cannot_be_opened_is_an_error_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(OSError, match="file"):
        AuditLog(str(tmp_path / "file" / "audit.jsonl"))
