"""What the doctor finds, each of it planted, and that it finds nothing where there is nothing."""

from __future__ import annotations

import contextlib
import errno
import http.server
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from support.access_files import access_file
from support.certificates import Authority
from support.identity_provider import AUDIENCE, ISSUER, SigningKey, key_set
from support.postgres import PostgresServer
from support.store_values import a_checkpoint, create

from learnfleet.server.alone import alone_at
from learnfleet.server.config import Config
from learnfleet.server.doctor import clocks, packages, ray, storage, store
from learnfleet.server.doctor.examine import examine
from learnfleet.server.doctor.finding import Finding, Level
from learnfleet.server.errors import Unavailable
from learnfleet.server.rpc.ports import Capacity, Node
from learnfleet.server.settings.merge import Merged, merge
from learnfleet.server.store.database import move_to, unmigrated_database
from learnfleet.server.store.sql import SqlStore


def settings(tmp_path: Path, **flags: Any) -> Merged:
    return merge({"data_dir": str(tmp_path), "data_roots": [str(tmp_path)], **flags}, {})


def found(given: Merged, subject: str) -> list[Finding]:
    return [finding for finding in examine(given) if finding.subject == subject]


def wrong(given: Merged, subject: str) -> list[str]:
    """`fail: what` of all that is not OK, each of which must say what to do."""
    bad = [finding for finding in found(given, subject) if finding.level is not Level.OK]
    assert all(finding.advice for finding in bad)
    return [f"{finding.level}: {finding.found}" for finding in bad]


def a_store(tmp_path: Path) -> SqlStore:
    made = SqlStore(f"sqlite:///{tmp_path / 'learnfleet.db'}")
    create(made)
    return made


def test_nothing_is_wrong_with_an_empty_folder_and_nothing_is_left_in_it(tmp_path: Path) -> None:
    findings = list(examine(settings(tmp_path)))
    assert {finding.level for finding in findings} == {Level.OK}, findings
    subjects = {finding.subject for finding in findings}
    assert subjects == {"settings", "packages", "storage", "store", "clock", "mlflow", "ray"}
    assert list(tmp_path.iterdir()) == []
    assert wrong(settings(tmp_path / "new" / "folder", data_roots=[str(tmp_path)]), "storage") == []
    assert not (tmp_path / "new").exists()


def test_a_check_that_stumbles_is_a_finding_and_the_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage, "_room", lambda _: 1 / 0)
    assert wrong(settings(tmp_path), "storage") == ["fail: could not be looked at: ZeroDivisionError: division by zero"]
    assert found(settings(tmp_path), "clock") != []


# -- access


def test_certificates_and_tokens_that_end_soon_or_are_wrong(tmp_path: Path) -> None:
    authority, access = Authority(), access_file(tmp_path / "access.toml")

    def given(days: float = 100) -> Merged:
        certificate, key = authority.issue(days=days).write(tmp_path, "server")
        return settings(tmp_path, tls_cert=str(certificate), tls_key=str(key), auth_file=str(access))

    good = [finding.found for finding in found(given(), "access")]
    assert good[1] == f"{access} knows 6 tokens, of which 1 have expired, and 2 certificates"
    assert wrong(given(), "access") == []
    assert wrong(given(days=3), "access")[0].startswith("warn: the certificate in ")
    soon = datetime.now(UTC) + timedelta(days=2)
    access.write_text(access.read_text().replace("2999-01-01T00:00:00Z", f"{soon:%Y-%m-%dT%H:%M:%SZ}"))
    assert wrong(given(), "access")[0].endswith("; 1 tokens expire within 14 days")
    access.write_text("[[token]]\n")
    told = wrong(given(days=-1), "access")
    assert "has expired at" in told[0]
    assert "token[0].sha256 is missing" in told[1]


def test_a_provider_whose_keys_cannot_be_had(tmp_path: Path) -> None:
    keys = tmp_path / "keys.json"
    oidc = {"oidc_issuer": ISSUER, "oidc_audience": AUDIENCE, "oidc_jwks": str(keys)}
    assert "cannot be had" in wrong(settings(tmp_path, **oidc), "access")[0]
    keys.write_bytes(key_set(SigningKey("k").jwk()))
    assert wrong(settings(tmp_path, **oidc), "access") == []


# -- settings


def test_a_file_with_secrets_that_others_can_read(tmp_path: Path) -> None:
    file = tmp_path / "s.toml"
    file.write_text('[mlflow]\nuri = "http://me:hunter2@127.0.0.1:1"\n')
    file.chmod(0o644)
    given = merge({"data_dir": str(tmp_path)}, {}, file)
    assert wrong(given, "settings") == [f"warn: {file} has secrets (mlflow.uri) and can be read by others"]
    assert "hunter2" not in str(list(examine(given)))
    file.chmod(0o600)
    assert wrong(given, "settings") == []


# -- packages


@pytest.mark.parametrize(
    ("version", "says"), [("0.1", "alembic 0.1, and >=1.14 is wanted"), (None, "is not installed")]
)
def test_a_package_of_a_version_that_is_not_supported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str | None, says: str
) -> None:
    right = packages.version

    def told(name: str) -> str:
        if name != "alembic":
            return right(name)
        if version is None:
            raise packages.PackageNotFoundError(name)
        return version

    monkeypatch.setattr(packages, "version", told)
    (finding,) = found(settings(tmp_path), "packages")
    assert (finding.level, says in finding.found) == (Level.FAIL, True)
    assert finding.advice == "pip install 'alembic>=1.14'"


# -- storage


def test_a_data_directory_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert wrong(settings(tmp_path / "file" / "data", data_roots=[str(tmp_path)]), "storage") == [
        f"fail: {tmp_path / 'file'} is no folder"
    ]


def test_a_file_system_without_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    told = wrong(settings(tmp_path), "storage")
    assert told == [f"fail: {tmp_path}: hard links does not work there: Operation not permitted"]


class Usage(NamedTuple):
    total: int
    used: int
    free: int


@pytest.mark.parametrize(("free_gib", "level"), [(0.5, "fail"), (3, "warn"), (20, "warn"), (400, None)])
def test_a_disk_that_is_nearly_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free_gib: float, level: str | None
) -> None:
    free = int(free_gib * 2**30)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(1000 * 2**30, 1000 * 2**30 - free, free))
    told = wrong(settings(tmp_path), "storage")
    assert [each.partition(":")[0] for each in told] == ([] if level is None else [level])


def test_data_roots_that_cannot_be_read(tmp_path: Path) -> None:
    told = wrong(settings(tmp_path, data_roots=[str(tmp_path / "none"), "nosuch://bucket/x"]), "storage")
    assert told[0] == f"fail: data root {tmp_path / 'none'} cannot be read: No such file or directory"
    assert told[1].startswith("fail: data root nosuch://bucket/x cannot be read: Protocol not known")


def test_a_server_that_works_there_is_no_fault(tmp_path: Path) -> None:
    with alone_at(Config(tmp_path)):
        findings = found(settings(tmp_path), "storage")
    assert f"a server works in {tmp_path} now" in [finding.found for finding in findings]


def test_a_server_that_works_on_the_store_is_no_fault(tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path / 'store.db'}"
    SqlStore(store).close()
    with alone_at(Config(tmp_path, store=store)):
        findings = found(settings(tmp_path / "other", store=store), "store")
    assert f"a server works on {tmp_path / 'store.db'} now" in [finding.found for finding in findings]


# -- store


def test_a_store_of_another_version(tmp_path: Path) -> None:
    a_store(tmp_path).close()
    assert wrong(settings(tmp_path), "store") == []
    engine = unmigrated_database(f"sqlite:///{tmp_path / 'learnfleet.db'}")
    move_to(engine, "0002")
    assert wrong(settings(tmp_path), "store") == [
        "warn: its tables have version 0002; the next start brings them to 0005"
    ]
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    assert wrong(settings(tmp_path), "store") == ["fail: its tables have version 9999, and this learnfleet knows 0005"]
    engine.dispose()


def test_a_damaged_database(tmp_path: Path) -> None:
    made = a_store(tmp_path)
    made.append_events("one", [])
    made.close()
    path = tmp_path / "learnfleet.db"
    content = bytearray(path.read_bytes())
    content[4096 * 3 : 4096 * 12] = b"\xff" * 4096 * 9
    path.write_bytes(content)
    assert any("fail" in each for each in wrong(settings(tmp_path), "store"))


def test_checkpoints_whose_files_are_not_there(tmp_path: Path) -> None:
    made = a_store(tmp_path)
    made.put_checkpoint(a_checkpoint("named"))
    made.close()
    told = wrong(settings(tmp_path), "store")
    assert told == ["fail: the files of 1 of 1 checkpoints are missing (learners/pets, ...)"]


def test_sqlite_on_a_network_file_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "is_network_file_system", lambda _: True)
    (told,) = wrong(settings(tmp_path), "store")
    assert "where SQLite loses data" in told


def test_a_postgresql_that_is_right_and_one_that_loses_what_was_acknowledged(
    tmp_path: Path, postgres: PostgresServer
) -> None:
    url = postgres.new_database()
    made = SqlStore(url)
    create(made)
    made.close()
    assert wrong(settings(tmp_path, store=url), "store") == []
    assert wrong(settings(tmp_path, store=url), "clock") == []
    told = wrong(settings(tmp_path, store=f"{url}&options=-csynchronous_commit%3Doff"), "store")
    assert told == ["fail: synchronous_commit is off: what was acknowledged may be lost with the machine"]
    told = wrong(settings(tmp_path, store=f"{url}&options=-cdefault_transaction_read_only%3Don"), "store")
    assert told == ["fail: it takes no writes: a standby, or set to read only"]


def test_a_postgresql_that_is_not_there(tmp_path: Path) -> None:
    given = settings(tmp_path, store="postgresql://me:hunter2@127.0.0.1:1/x")
    (told,) = wrong(given, "store")
    assert told.startswith("fail: postgresql://me:***@127.0.0.1:1/x cannot be reached: ")
    assert "hunter2" not in str(list(examine(given)))


# -- clocks


@pytest.mark.parametrize(("ahead_s", "level"), [(-3600.0, "fail"), (10.0, "warn"), (0.5, None)])
def test_a_storage_with_another_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ahead_s: float, level: str | None
) -> None:
    monkeypatch.setattr(clocks, "_storage_ahead_s", lambda _: ahead_s)
    assert [each.partition(":")[0] for each in wrong(settings(tmp_path), "clock")] == ([level] if level else [])


def test_a_database_with_another_time(
    tmp_path: Path, postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    real_s = time.time
    monkeypatch.setattr(clocks.time, "time", lambda: real_s() - 100)
    told = wrong(settings(tmp_path, store=postgres.url()), "clock")
    assert told[-1].startswith("fail: the database's clock is 100.")


def test_a_clock_that_is_set_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real_s, jump_s = time.time, [0.0]
    monkeypatch.setattr(clocks.time, "time", lambda: real_s() + jump_s[0])
    with clocks.check_steadiness() as told:
        jump_s[0] = 30.0
    assert [(finding.level, "+30.0 s" in finding.found) for finding in told] == [(Level.WARN, True)]


# -- MLflow


@contextlib.contextmanager
def an_mlflow(version: str, status: int = 200) -> Iterator[str]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(version.encode())

        def log_message(self, format: str, *args: object) -> None: ...  # noqa: A002

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(
    ("version", "status", "level"),
    [(packages.version("mlflow"), 200, None), ("1.2.3", 200, "warn"), ("", 401, "warn"), ("", 500, "fail")],
)
def test_a_tracking_server(tmp_path: Path, version: str, status: int, level: str | None) -> None:
    with an_mlflow(version, status) as uri:
        told = wrong(settings(tmp_path, mlflow_uri=uri), "mlflow")
    assert [each.partition(":")[0] for each in told] == ([level] if level else [])


def test_a_tracking_server_that_is_not_there(tmp_path: Path) -> None:
    (told,) = wrong(settings(tmp_path, mlflow_uri="http://127.0.0.1:1"), "mlflow")
    assert "does not answer" in told


# -- Ray


class StandIn:
    """A cluster, or none."""

    answer: Capacity | Exception

    def __init__(self, _: object) -> None: ...

    def supervise(self) -> None: ...

    def close(self) -> None: ...

    def capacity(self) -> Capacity:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.mark.parametrize(
    ("answer", "level"),
    [
        (Capacity(4, 1, elastic=True, nodes=(Node("a", "10.0.0.1", 4, 1),)), None),
        (Capacity(0, 0, elastic=True), "warn"),
        (Capacity(0, 0, elastic=True, max_gpu_slots=8), None),  # as deploy/ begins
        (Unavailable("no route"), "fail"),
    ],
)
def test_a_cluster(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: Capacity | Exception, level: str | None
) -> None:
    monkeypatch.setattr(ray, "RayCluster", type("Told", (StandIn,), {"answer": answer}))
    told = wrong(settings(tmp_path, ray_address="ray://head:10001"), "ray")
    assert [each.partition(":")[0] for each in told] == ([level] if level else [])


def test_more_slots_than_cores_and_a_token_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert [each[:4] for each in wrong(settings(tmp_path, cpu_slots="1000"), "ray")] == ["warn"]
    monkeypatch.setattr(ray, "RayCluster", type("Told", (StandIn,), {"answer": Unavailable("x")}))
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / "token"))
    assert "names" in wrong(settings(tmp_path, ray_address="head:6379"), "ray")[0]


# -- the command


def test_the_command_says_what_is_wrong_in_lines_or_json_and_by_its_exit_code(tmp_path: Path) -> None:
    fine = run("--data-dir", "data", folder=tmp_path)
    assert (fine.returncode, fine.stdout[:2]) == (0, "ok")
    bad = run("--data-dir", "data", "--data-root", "nowhere", "--json", folder=tmp_path)
    lines = [json.loads(line) for line in bad.stdout.splitlines()]
    assert bad.returncode == 1
    assert [line["subject"] for line in lines if line["level"] == "fail"] == ["storage"]
    assert all(set(line) == {"subject", "level", "found", "advice"} for line in lines)
    away = run("--data-dir", "data", "--address", "127.0.0.1:1", folder=tmp_path)
    assert (away.returncode, "127.0.0.1:1 does not answer" in away.stdout) == (1, True)


def run(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    program = "from learnfleet.server.commands.doctor import doctor; import typer; typer.run(doctor)"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", program, *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False)
