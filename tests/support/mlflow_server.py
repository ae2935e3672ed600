"""An MLflow server process, and a proxy before it that fails as networks and servers do."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import subprocess
import sys
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from learnfleet.server.tracking.mlflow_client import SAFE

_START_TIMEOUT_S = 120.0
_POLL_S = 0.1
_RESET = struct.pack("ii", 1, 0)  # close with RST
_ANSWER_500 = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"


def until(condition: Callable[[], bool], timeout_s: float = 120.0) -> None:
    """Poll. Raises AssertionError if it takes longer."""
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline_s, f"not within {timeout_s} s"
        threading.Event().wait(_POLL_S)


class MlflowServer:
    """A server on a database and a folder of artifacts, which outlive it."""

    def __init__(self, folder: Path, options: Sequence[str] = (), environment: Mapping[str, str] | None = None) -> None:
        self._folder, self._options, self._environment = folder, options, environment or {}
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port: int = free.getsockname()[1]
        self.uri = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [str(Path(sys.executable).with_name("mlflow")), "server", "--host", "127.0.0.1"]
        command += ["--port", str(self.port), "--workers", "1"]
        command += ["--backend-store-uri", f"sqlite:///{self._folder / 'mlflow.db'}"]
        command += ["--artifacts-destination", str(self._folder / "artifacts"), *self._options]
        with (self._folder / "mlflow.log").open("ab") as log:
            self._process = subprocess.Popen(
                command,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env={**os.environ, **SAFE, "MLFLOW_DISABLE_TELEMETRY": "true", **self._environment},
            )
        until(self._answers, _START_TIMEOUT_S)

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, "the MLflow server has ended; see its log"
        try:
            with urllib.request.urlopen(f"{self.uri}/health", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def kill(self) -> None:
        """With its workers, without a warning."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, 9)
            self._process.wait()
            self._process = None


class FaultyProxy:
    """A TCP proxy before a local port. What it does to a connection depends on `mode` when it is made.

    pass: hands on. down: resets. error: answers 500. deaf: hands the request on and loses the answer.
    """

    def __init__(self, port: int) -> None:
        self._upstream = ("127.0.0.1", port)
        self._mode, self._hits = "pass", Counter[str]()
        self._changed = threading.Condition()
        self._open: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.uri = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def switch(self, mode: str, hits: int = 0, timeout_s: float = 120.0) -> None:
        """Into `mode`, old connections too, and wait for so many connections in it."""
        with self._changed:
            self._mode = mode
            self._hits[mode] = 0
            for connection in self._open:
                _shut(connection)
            assert self._changed.wait_for(lambda: self._hits[mode] >= hits, timeout_s), f"nobody came in {timeout_s} s"

    def close(self) -> None:
        self.switch("down")
        _shut(self._listener)
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # closed
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with self._changed:
            mode = self._mode
            self._open.add(connection)
        with contextlib.suppress(OSError), connection:
            getattr(self, f"_{mode}")(connection)
        with self._changed:
            self._open.discard(connection)
            self._hits[mode] += 1
            self._changed.notify_all()

    def _down(self, connection: socket.socket) -> None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)

    def _error(self, connection: socket.socket) -> None:
        connection.recv(1 << 20)
        connection.sendall(_ANSWER_500)

    def _deaf(self, connection: socket.socket) -> None:
        with socket.create_connection(self._upstream) as upstream:
            threading.Thread(target=_pump, args=(connection, upstream), daemon=True).start()
            upstream.recv(1)  # it answers, so it has done what it was asked
            _shut(connection)

    def _pass(self, connection: socket.socket) -> None:
        with socket.create_connection(self._upstream) as upstream:
            threading.Thread(target=_pump, args=(connection, upstream), daemon=True).start()
            _pump(upstream, connection)


def _pump(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(1 << 16):
            target.sendall(data)
    _shut(target)


def _shut(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
