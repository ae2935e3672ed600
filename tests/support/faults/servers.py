"""Real server processes that a test starts, kills and starts again on the same address and data."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from support.faults import light_host

from learnfleet.server.failpoints import VARIABLE

START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 60.0
_LOOK_S = 0.05
_TESTS = Path(__file__).parents[2]


def _python_path(first: Path | None = None) -> str:
    """With what is in `support`: planted bugs, plug-ins."""
    return os.pathsep.join(filter(None, (first and str(first), str(_TESTS), os.environ.get("PYTHONPATH"))))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class DisturbedServer:
    """One control server: the same address, data and Ray, over as many processes as it takes."""

    folder: Path
    root: Path  # of pictures
    options: Sequence[str] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    sabotage: str = ""  # a planted bug, by name (support/faults/sabotage.py)
    tells_mlflow: bool = True
    starts: int = 0

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.address = f"127.0.0.1:{free_port()}"
        self.data_dir = self.folder / "data"
        self.log = self.folder / "server.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._log_from = 0

    @property
    def process(self) -> subprocess.Popen[bytes]:
        assert self._process is not None, "it was not started"
        return self._process

    def start(self, failpoints: str = "") -> None:
        """Returns when it listens. Raises RuntimeError with the end of its log."""
        self.starts += 1
        self._log_from = self.log.stat().st_size if self.log.exists() else 0
        listens = self.folder / "address"
        listens.unlink(missing_ok=True)
        command = [
            sys.executable,
            "-m",
            "support.faults.sabotage",
            self.sabotage,
            "serve",
            "--data-dir",
            str(self.data_dir),
            "--data-root",
            str(self.root),
        ]
        command += ["--listen", self.address, "--port-file", str(listens), *self.options]
        environment = {**os.environ, **self.environment, VARIABLE: failpoints, "PYTHONPATH": _python_path()}
        if not self.tells_mlflow:
            environment[light_host.WITHOUT_MLFLOW] = "1"
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                env=environment,
            )
        until = time.monotonic() + START_TIMEOUT_S
        while not listens.exists():
            if self._process.poll() is not None or time.monotonic() > until:
                if self._process.poll() == -signal.SIGKILL:
                    return  # a failpoint that comes before it listens
                self.kill()
                raise RuntimeError(f"the server does not listen; its log ends with\n{self.log.read_text()[-3000:]}")
            time.sleep(_LOOK_S)

    @property
    def runs(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def ended(self, within_s: float) -> int | None:
        """Its exit status, waited for so long; None while it runs."""
        try:
            return self.process.wait(within_s)
        except subprocess.TimeoutExpired:
            return None

    def said(self) -> str:
        """What it has logged since its start."""
        with self.log.open("rb") as log:
            log.seek(self._log_from)
            return log.read().decode(errors="replace")

    def has_died(self, within_s: float) -> bool:
        """Whether it was killed, waited for so long."""
        try:
            return self.process.wait(within_s) == -signal.SIGKILL
        except subprocess.TimeoutExpired:
            return False

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """SIGTERM; its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.kill()
            return self.process.returncode

    def open_files(self) -> int:
        return psutil.Process(self.process.pid).num_fds()


@dataclass
class RayNode:
    """A Ray node in a PID namespace of its own: its init's SIGKILL takes the whole node, as a machine's end does."""

    folder: Path
    address: str = ""  # of the head; empty: this is the head
    cpus: int = 2
    token: str = field(default_factory=lambda: secrets.token_hex(32))
    port: int = field(default_factory=free_port)
    plugins: Path | None = None  # a folder with packages that the workers have

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        # One of its own, as machines have: nodes that share one and start together take each other's sockets. Those
        # need short paths.
        self._session = tempfile.mkdtemp(prefix="ray-")
        token_file = self.folder / "token"
        token_file.write_text(self.token)
        self.environment = {
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN_PATH": str(token_file),
            "RAY_USAGE_STATS_ENABLED": "0",
        }
        self.head_address = self.address or f"127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Returns at once; whoever joins it waits for it."""
        ray = str(Path(sys.executable).with_name("ray"))
        # With the process that started it, however that ends.
        command = [
            "setpriv",
            "--pdeathsig",
            "KILL",
            "unshare",
            "--pid",
            "--fork",
            "--kill-child",
            "--mount-proc",
            ray,
            "start",
            "--block",
        ]
        command += [f"--num-cpus={self.cpus}", "--object-store-memory=100000000", "--node-ip-address=127.0.0.1"]
        command += [f"--temp-dir={self._session}"]
        if self.address:
            command += [f"--address={self.address}"]
        else:
            command += ["--head", f"--port={self.port}", "--include-dashboard=false"]
        with (self.folder / "ray.log").open("ab") as log:
            self._process = subprocess.Popen(
                command,
                env={**os.environ, **self.environment, "PYTHONPATH": _python_path(self.plugins)},
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )

    def listens(self) -> bool:
        """Of a head: whether others can join."""
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
            return True
        return False

    def train_workers(self) -> list[psutil.Process]:
        """Processes on this node that train."""
        if self._process is None or self._process.poll() is not None:
            return []
        return train_workers_below(self._process.pid)

    def kill(self) -> None:
        """SIGKILL to `unshare`, whose child is the namespace's init and dies with it: so does all of the node."""
        if self._process is None:
            return
        with contextlib.suppress(psutil.NoSuchProcess):
            everything = psutil.Process(self._process.pid).children(recursive=True)
            self._process.kill()
            psutil.wait_procs(everything, timeout=30)
        self._process.wait()
        self._process = None

    def end(self) -> None:
        """For good."""
        self.kill()
        shutil.rmtree(self._session, ignore_errors=True)


def train_workers_below(pid: int) -> list[psutil.Process]:
    """Processes of Ray actors that train, below this process only."""
    found = []
    with contextlib.suppress(psutil.NoSuchProcess):
        for child in psutil.Process(pid).children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
                command = child.cmdline()
                if command and command[0].startswith("ray::") and "TrainWorker" in command[0]:
                    found.append(child)
    return found


@dataclass
class LightWorkers:
    """A folder for workers without Ray (light_host.py), and the environment of a server that is to have them."""

    folder: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="light-")))  # sockets need short paths
    options: Sequence[str] = ("--ray-address", "light")

    @property
    def environment(self) -> dict[str, str]:
        return {light_host.VARIABLE: str(self.folder)}

    def train_workers(self) -> list[psutil.Process]:
        return [psutil.Process(int(path.read_text())) for path in self.folder.glob("*.pid")]

    def end(self) -> None:
        """Workers look for their folder."""
        shutil.rmtree(self.folder, ignore_errors=True)
