"""The Ray cluster: started here and dying with the server, or somebody else's that is joined."""

from __future__ import annotations

import logging
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path

from learnfleet.server.config import Config
from learnfleet.server.domain import Group
from learnfleet.server.errors import Unavailable
from learnfleet.server.rpc.ports import Capacity
from learnfleet.server.workers.protocol import RunRequest, WorkerDied, WorkerStatus
from learnfleet.server.workers.ray_host import HostManager, RayHost, RaySettings

_TOKEN_FILE = "ray-token"
_OBJECT_STORE_BYTES = 100 * 1024 * 1024  # nothing of size goes through it
_END_TIMEOUT_S = 15.0

_log = logging.getLogger(__name__)


class RayCluster:
    """Ray, through its host process. `connect` runs in a thread: the server listens before."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._ready = threading.Event()
        self._error: str | None = None
        self._host: RayHost | None = None
        self._process: subprocess.Popen[str] | None = None
        self._folder = tempfile.mkdtemp(prefix="learnfleet-")  # short: socket paths have a limit

    @property
    def is_local(self) -> bool:
        return self._config.ray_address is None

    def describe(self) -> str:
        return f"local, {self._num_cpus()} CPU slots" if self.is_local else f"at {self._config.ray_address}"

    def _num_cpus(self) -> int:
        return self._config.cpu_slots or os.cpu_count() or 1

    def connect(self) -> None:
        """Start or join Ray. Blocks for seconds; errors are kept for those who wait for it."""
        try:
            host = self._start_host()
            host.connect(
                RaySettings(self._config.ray_address, self._config.ray_namespace, self._num_cpus(), _OBJECT_STORE_BYTES)
            )
            self._host = host
        except Exception as error:
            _log.exception("Ray cannot be had")
            self._error = f"Ray cannot be had: {error}"
        finally:
            self._ready.set()

    def _start_host(self) -> RayHost:
        socket, key = str(Path(self._folder) / "ray-host"), secrets.token_bytes(32)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "learnfleet.server.workers.ray_host", socket],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=self._environment(),
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(key.hex() + "\n")
        self._process.stdin.flush()
        if self._process.stdout.readline().strip() != "ready":
            raise RuntimeError(f"its host process ended with status {self._process.wait()}; see the lines above")
        HostManager.register("host")
        manager = HostManager(socket, key)
        manager.connect()
        return manager.host()  # type: ignore[attr-defined, no-any-return]

    def _environment(self) -> dict[str, str]:
        defaults = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}
        # Ray switches authentication on by itself in some ways of starting only: always say it.
        environment = {**defaults, "RAY_AUTH_MODE": "token", **os.environ}
        if self.is_local and environment["RAY_AUTH_MODE"] == "token":
            environment["RAY_AUTH_TOKEN_PATH"] = str(_own_token(self._config.data_dir))
        return environment

    def wait(self) -> RayHost:
        """Until it is connected. Raises Unavailable if it cannot be."""
        self._ready.wait()
        if self._host is None:
            raise Unavailable(self._error or "Ray has been left")
        return self._host

    def capacity(self) -> Capacity:
        """Raises Unavailable."""
        cpus, gpus = self.wait().slots()
        return Capacity(cpus, gpus, elastic=not self.is_local)

    def start_group(self, group: Group) -> HostedGroup:
        """Place and start workers. Blocks for seconds. Raises WorkerDied."""
        self.wait().start_group(group, not self.is_local)
        return HostedGroup(group, self.wait())

    def find_group(self, group: Group) -> HostedGroup | None:
        """The group's workers, if all of them live."""
        return HostedGroup(group, self.wait()) if self.wait().find_group(group) else None

    def close(self) -> None:
        """Leave it; a local one ends."""
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()
            try:
                self._process.wait(_END_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)


@dataclass(frozen=True)
class HostedGroup:
    """A GroupHandle (protocol.py) on workers in the host process's care."""

    group: Group
    host: RayHost

    @property
    def generation(self) -> int:
        return self.group.generation

    def start(self, request: RunRequest) -> None:
        self.host.start(self.group, request)

    def poll(self, job_id: str, acknowledged: tuple[int, ...]) -> tuple[WorkerStatus, ...]:
        try:
            return self.host.poll(self.group, job_id, acknowledged)
        except (EOFError, ConnectionError) as error:
            raise WorkerDied("the process that talks to Ray died") from error

    def stop(self, job_id: str) -> None:
        self.host.stop(self.group, job_id)

    def kill(self) -> None:
        self.host.kill(self.group)


def _own_token(data_dir: Path) -> Path:
    path = data_dir / _TOKEN_FILE
    if not path.exists():
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_hex(32))
    return path
