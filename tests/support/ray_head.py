"""A Ray head node of its own, which outlives servers."""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil


@dataclass(frozen=True)
class Head:
    """A Ray head node in a process group of its own."""

    address: str
    client_address: str  # for those that run no node of the cluster
    environment: dict[str, str]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _end(head: psutil.Process) -> None:
    """All that it has started, too: it has sessions of its own."""
    family = [*head.children(recursive=True), head]
    head.terminate()
    _, left = psutil.wait_procs(family, timeout=10)
    for process in left:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


@contextlib.contextmanager
def ray_head(folder: Path, mode: str = "token") -> Iterator[Head]:
    """A head with two CPUs; `folder` is for its token and log. `mode`: "disabled" for one that lets everybody in."""
    token = folder / "token"
    token.write_text(secrets.token_hex(32))
    environment = {
        "RAY_AUTH_MODE": mode,
        "RAY_AUTH_TOKEN_PATH": str(token),
        "RAY_USAGE_STATS_ENABLED": "0",
    }
    port, client_port = _free_port(), _free_port()
    command = [str(Path(sys.executable).with_name("ray")), "start", "--head", "--block", "--num-cpus=2"]
    command += ["--node-ip-address=127.0.0.1", f"--port={port}", "--include-dashboard=false"]
    command += [f"--ray-client-server-port={client_port}"]
    command += ["--object-store-memory=100000000"]
    with (folder / "ray.log").open("wb") as log:
        process = subprocess.Popen(
            command, env={**os.environ, **environment}, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        yield Head(f"127.0.0.1:{port}", f"ray://127.0.0.1:{client_port}", environment)
    finally:
        _end(psutil.Process(process.pid))
        process.wait()
