"""A control server as a child process, for the demo and for tests: the same command a user types."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 60.0


@dataclass(frozen=True)
class LocalServer:
    """A running server."""

    process: subprocess.Popen[bytes]
    address: str  # host:port
    log: Path


@contextlib.contextmanager
def local_server(
    data_dir: Path,
    data_roots: Sequence[Path],
    log: Path,
    *,
    options: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
) -> Iterator[LocalServer]:
    """Start `learnfleet serve` on a free port, and stop it gracefully at the end.

    Raises RuntimeError with the end of its log if it dies or does not listen.
    """
    server = start_server(data_dir, data_roots, log, options=options, environment=environment)
    try:
        yield server
    finally:
        stop_server(server)


def start_server(
    data_dir: Path,
    data_roots: Sequence[Path],
    log: Path,
    *,
    options: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
) -> LocalServer:
    """As `local_server`, for callers that end it themselves. Servers that share a folder need logs of their own."""
    data_dir.mkdir(parents=True, exist_ok=True)
    port_file = data_dir / f"{log.stem}.address"
    port_file.unlink(missing_ok=True)
    roots = [argument for root in data_roots for argument in ("--data-root", str(root))]
    command = [str(Path(sys.executable).with_name("learnfleet")), "serve", "--data-dir", str(data_dir)]
    command += ["--listen", "127.0.0.1:0", "--port-file", str(port_file), *roots, *options]
    with log.open("ab") as out:
        process = _spawn(command, out, environment or {})
    try:
        return LocalServer(process, _wait_for_address(process, port_file, log), log)
    except BaseException:
        process.kill()
        process.wait()
        raise


def stop_server(server: LocalServer) -> int:
    """SIGTERM, and SIGKILL if that takes longer than a minute. Returns the exit status."""
    if server.process.poll() is None:
        server.process.send_signal(signal.SIGTERM)
    try:
        return server.process.wait(timeout=STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        server.process.kill()
        return server.process.wait()


def _spawn(command: list[str], out: IO[bytes], environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    # A session of its own: Ctrl-C in the terminal reaches the caller, who then stops the server in order.
    return subprocess.Popen(
        command,
        stdout=out,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        env={**os.environ, **environment},
    )


def _wait_for_address(process: subprocess.Popen[bytes], port_file: Path, log: Path) -> str:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        if port_file.exists() and (address := port_file.read_text().strip()):
            return address
        if process.poll() is not None:
            break
        time.sleep(0.05)
    raise RuntimeError(f"the server does not listen; the end of {log}:\n{log.read_text()[-3000:]}")
