"""A whole store in one file, and back: for SQLite and PostgreSQL alike, and from one to the other.

The file is JSON lines in gzip: a header, a line a row, and a last line with the number of rows of each table and the
SHA-256 of all lines before it. What is read is one state of the database: servers may go on writing meanwhile.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import tempfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from sqlalchemy import Connection, Engine, MetaData, inspect, make_url, select

from learnfleet.server.installed import installed_version
from learnfleet.server.store.database import VERSION_TABLE, unmigrated_database, version_of
from learnfleet.server.store.outage import told_as_unavailable

_FORMAT = 1
_ROWS_A_FETCH = 500


class BadBackup(ValueError):
    """A file that is no whole backup; the text says what is wrong with it."""


class NothingToBackUp(ValueError):
    """A database without a store."""


@dataclass(frozen=True)
class Backup:
    """What a backup file says of itself, checked against what it holds."""

    path: Path
    schema: str  # the version of its tables
    learnfleet: str  # that wrote it
    created_at: str
    rows: Mapping[str, int]  # by table


def back_up(url: str, path: Path) -> Backup:
    """Write the store at `url` to `path`, which is there as a whole or not at all. Nothing is migrated.

    Raises NothingToBackUp, StoreUnavailable, OSError.
    """
    file = make_url(url).database
    if url.startswith("sqlite") and not Path(file or "").is_file():  # to look would make it
        raise NothingToBackUp(f"there is no store at {file}: no server has been started with it")
    engine = unmigrated_database(url)
    try:
        with told_as_unavailable(), _snapshot(engine) as connection, _whole_file(path) as out:
            return _write(connection, path, out)
    finally:
        engine.dispose()


def check_backup(path: Path) -> Backup:
    """Read all of it. Raises BadBackup, OSError."""
    lines = _Lines(path)
    for _ in lines.rows():
        pass
    header = lines.header
    return Backup(path, header["schema"], header["learnfleet"], header["created_at"], lines.counts)


def read_rows(path: Path) -> Iterator[tuple[str, list[Any]]]:
    """(table, values in the order of `columns_of`). Raises BadBackup, the latest at the end."""
    return _Lines(path).rows()


def columns_of(path: Path) -> Mapping[str, list[str]]:
    """Names by table, in the order in which tables can be filled. Raises BadBackup."""
    lines = _Lines(path)
    next(lines.rows(), None)
    return dict(lines.header["tables"])


# -- writing


@contextmanager
def _snapshot(engine: Engine) -> Iterator[Connection]:
    """One state of the database, which writers do not wait for."""
    if engine.dialect.name == "postgresql":
        options: dict[str, Any] = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
    else:
        options = {"read_only": True}
    with engine.connect().execution_options(**options) as connection, connection.begin():
        yield connection


@contextmanager
def _whole_file(path: Path) -> Iterator[IO[bytes]]:
    """A file for this user only, which takes its place when it is written and synced."""
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}-", delete=False) as file:
        try:
            yield file
            file.flush()
            os.fsync(file.fileno())
            Path(file.name).replace(path)
        except BaseException:
            Path(file.name).unlink(missing_ok=True)
            raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _write(connection: Connection, path: Path, file: IO[bytes]) -> Backup:
    if not inspect(connection).has_table(VERSION_TABLE):
        raise NothingToBackUp("there is no store in this database: no server has been started on it")
    known, schema = MetaData(), version_of(connection)
    known.reflect(connection)
    tables = [table for table in known.sorted_tables if table.name != VERSION_TABLE]
    header: dict[str, Any] = {
        "learnfleet_backup": _FORMAT,
        "learnfleet": installed_version(),
        "schema": schema,
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "tables": [(table.name, [column.name for column in table.columns]) for table in tables],
    }
    digest, rows = hashlib.sha256(), dict.fromkeys((table.name for table in tables), 0)
    with gzip.GzipFile("", "wb", 6, file, mtime=0) as packed:
        _put(packed, digest, header)
        for table in tables:
            query = select(table).execution_options(yield_per=_ROWS_A_FETCH)
            for row in connection.execute(query):
                _put(packed, digest, [table.name, *row])
                rows[table.name] += 1
        packed.write(_line({"rows": rows, "sha256": digest.hexdigest()}))
    return Backup(path, schema, header["learnfleet"], header["created_at"], rows)


def _put(packed: gzip.GzipFile, digest: Any, value: object) -> None:
    line = _line(value)
    digest.update(line)
    packed.write(line)


def _line(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=True, separators=(",", ":")).encode() + b"\n"


# -- reading


class _Lines:
    """Lines of a backup file as they are read, checked at the end."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.header: dict[str, Any] = {}
        self.counts: dict[str, int] = {}  # rows that were read, by table

    def rows(self) -> Iterator[tuple[str, list[Any]]]:
        """Raises BadBackup."""
        digest, last = hashlib.sha256(), None
        try:
            with gzip.open(self._path, "rb") as packed:
                for line in packed:
                    value = json.loads(line)
                    if last is not None:
                        raise BadBackup(f"{self._path} goes on after its end")
                    if not self.header:
                        self.header = self._checked_header(value)
                        self.counts = {name: 0 for name, _ in self.header["tables"]}
                    elif isinstance(value, dict):
                        last = value
                        continue
                    else:
                        yield self._checked_row(value)
                    digest.update(line)
        except (gzip.BadGzipFile, EOFError, zlib.error, UnicodeDecodeError, json.JSONDecodeError) as error:
            raise BadBackup(f"{self._path} is no whole backup: {error}") from error
        if last is None or last.get("sha256") != digest.hexdigest() or last.get("rows") != self.counts:
            raise BadBackup(f"{self._path} is damaged, or was cut off: its content is not what its end says")

    def _checked_header(self, value: Any) -> dict[str, Any]:
        version = value.get("learnfleet_backup") if isinstance(value, dict) else None
        if version is None:
            raise BadBackup(f"{self._path} is no backup of a learnfleet store")
        if version != _FORMAT:
            raise BadBackup(f"{self._path} has format {version}, and this learnfleet reads {_FORMAT}: use a newer one")
        return value  # type: ignore[no-any-return]

    def _checked_row(self, value: Any) -> tuple[str, list[Any]]:
        if not isinstance(value, list) or not value or value[0] not in self.counts:
            raise BadBackup(f"{self._path} is damaged: a line is no row of a table")
        self.counts[value[0]] += 1
        return value[0], value[1:]
