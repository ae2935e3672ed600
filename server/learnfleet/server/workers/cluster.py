"""The Ray cluster: started here and dying with the server, or somebody else's that is joined. Lost, it is had anew."""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import shutil
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

from learnfleet.server.config import Config
from learnfleet.server.domain import Group
from learnfleet.server.draining import DrainTimes
from learnfleet.server.errors import Unavailable
from learnfleet.server.inference.plan import ReplicaPlan
from learnfleet.server.rpc.ports import Capacity, Demand
from learnfleet.server.telemetry.telemetry import log_settings, trace_settings
from learnfleet.server.workers.host_process import HostLost, HostProcess, SafeHost
from learnfleet.server.workers.node_requests import NodeRequests
from learnfleet.server.workers.protocol import RunRequest, WorkerDied, WorkerStatus
from learnfleet.server.workers.ray_access import without_secrets
from learnfleet.server.workers.ray_host import RaySettings
from learnfleet.server.workers.train_worker import WorkerTelemetry
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.model_card import OnnxFacts

_TOKEN_FILE = "ray-token"
_OBJECT_STORE_BYTES = 100 * 1024 * 1024  # nothing of size goes through it
_FIRST_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 15.0
_PING_S = 20.0
_MOST_MISSED = 3  # a process on a machine that is short of memory or time is slow, and not to be killed for it

_log = logging.getLogger(__name__)


class RayCluster:
    """Ray, through its host process. `supervise` runs in a thread: the server listens before."""

    def __init__(
        self,
        config: Config,
        start_process: Callable[[Path, Mapping[str, str]], HostProcess] = HostProcess,
        first_pause_s: float = _FIRST_PAUSE_S,
        ping_s: float = _PING_S,
    ) -> None:
        self._config, self._start_process = config, start_process
        self._first_pause_s, self._ping_s = first_pause_s, ping_s
        self._told = threading.Condition()
        self._closing = threading.Event()
        self._process: HostProcess | None = None
        self._host: SafeHost | None = None
        self._error: str | None = None
        self._requests = NodeRequests(self._connected_host)
        self._folder = tempfile.mkdtemp(prefix="learnfleet-")  # short: socket paths have a limit

    @property
    def is_local(self) -> bool:
        return self._config.ray_address is None

    def describe(self) -> str:
        return f"local, {self._num_cpus()} CPU slots" if self.is_local else f"at {self._config.ray_address}"

    def _num_cpus(self) -> int:
        return self._config.cpu_slots or os.cpu_count() or 1

    # -- the thread

    def supervise(self) -> None:
        """Start or join Ray, and again whenever it is lost, until `close`. Errors are told to those who wait for it."""
        pause_s, since = self._first_pause_s, datetime.now(UTC)
        for number in count(1):
            if self._closing.is_set():
                return
            try:
                process = self._connect(number)
            except Exception as error:
                if self._closing.is_set():
                    return
                _log.exception("Ray cannot be had")
                self._tell(None, f"Ray cannot be reached since {since:%H:%M} UTC, it is tried again: {error}")
                self._closing.wait(pause_s)
                pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
                continue
            self._tell(process.host, None)
            threading.Thread(target=self._ping, args=(process,), name="ray-pings", daemon=True).start()
            process.has_ended()
            self._tell(None, None)
            pause_s, since = self._first_pause_s, datetime.now(UTC)
            if not self._closing.is_set():
                _log.error("the process that talks to Ray died; starting a new one")

    def _ping(self, process: HostProcess) -> None:
        """End a process that hangs: all that is asked of it would hang, too."""
        missed = 0
        while not (self._closing.wait(self._ping_s) or process.host.is_lost):
            missed = 0 if process.answers(self._ping_s) else missed + 1
            if missed == _MOST_MISSED:
                _log.error("the process that talks to Ray does not answer; ending it")
                process.kill()
                return

    def _connect(self, number: int) -> HostProcess:
        process = self._start_process(Path(self._folder) / f"ray-host-{number}", self._environment())
        self._process = process
        settings = RaySettings(
            self._config.ray_address,
            self._config.ray_namespace,
            self._num_cpus(),
            _OBJECT_STORE_BYTES,
            self._config.hang_timeout_s,
            self._config.replica_cpus > 0 or self._config.replica_gpus > 0,
            WorkerTelemetry(log_settings(self._config), trace_settings(self._config)),
        )
        try:
            if not self._closing.is_set():
                process.connect(settings)
        except Exception:
            process.end()
            raise
        if self._closing.is_set():
            process.end()
        return process

    def _tell(self, host: SafeHost | None, error: str | None) -> None:
        with self._told:
            if not self._closing.is_set():
                self._host, self._error = host, error
            self._told.notify_all()

    def _environment(self) -> dict[str, str]:
        defaults = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}
        defaults["MALLOC_ARENA_MAX"] = "3"  # heaps of a worker: Ray alone has threads for dozens, see trainer/heap.py
        # Ray switches authentication on by itself in some ways of starting only: always say it.
        own = log_settings(self._config).to_environment()
        environment = {**defaults, "RAY_AUTH_MODE": "token", **without_secrets(os.environ), **own}
        if self.is_local and environment["RAY_AUTH_MODE"] == "token":
            environment["RAY_AUTH_TOKEN_PATH"] = str(_own_token(self._config.data_dir))
        return environment

    # -- what is asked of it

    def wait(self) -> SafeHost:
        """Until it is connected. Raises Unavailable once it was found that it cannot be, for now."""
        with self._told:
            self._told.wait_for(lambda: self._error is not None or self._is_connected())
            if self._host is None:
                raise Unavailable(self._error or "Ray has been left")
            return self._host

    @property
    def is_connected(self) -> bool:
        """At this moment; asks nobody."""
        return self._is_connected()

    def _is_connected(self) -> bool:
        return self._connected_host() is not None

    def _connected_host(self) -> SafeHost | None:
        host = self._host
        return None if host is None or host.is_lost else host

    def capacity(self) -> Capacity:
        """Raises Unavailable."""
        nodes = self.wait().nodes()
        cpus = sum(node.cpu_slots + node.serving_cpu_slots for node in nodes)
        gpus = sum(node.gpu_slots + node.serving_gpu_slots for node in nodes)
        most = self._config.max_cpu_slots, self._config.max_gpu_slots
        return Capacity(cpus, gpus, not self.is_local, nodes, *most)

    def ask_for(self, demand: Demand) -> None:
        """Have the cluster's autoscaler bring nodes for it, and take them away when they are idle again."""
        if not self.is_local:
            self._requests.ask(demand)

    def let_nodes_go(self) -> None:
        """The server stops: take back what was asked for, as nobody may come to use it."""
        self._requests.end()

    def complete_export(self, folder: Path, *, onnx: bool) -> OnnxFacts | None:
        """Have a worker add an example and, if it is wanted, ONNX (trainer/export_parts.py). Blocks for seconds.

        Where ONNX kills the worker or takes too long, it is left out. Raises LearnerError, Unavailable, WorkerDied.
        """
        host = self.wait()
        try:
            answer = host.complete_export(str(folder), onnx, "")
        except WorkerDied as error:
            if isinstance(error, HostLost) or not onnx:
                raise
            answer = host.complete_export(str(folder), False, str(error))
        if isinstance(answer, LearnerError):
            raise answer
        return answer

    def start_group(self, group: Group, nodes: Sequence[str] = ()) -> HostedGroup:
        """Start workers, each on its node where they are named. Blocks for seconds.

        Raises WorkerDied, PlaceLost, Unavailable.
        """
        host = self.wait()
        return HostedGroup(group, host, self, host.start_group(group, nodes, not self.is_local))

    def find_group(self, group: Group) -> HostedGroup | None:
        """The group's workers, if all of them live. Raises Unavailable."""
        host = self.wait()
        nodes = host.find_group(group)
        return None if nodes is None else HostedGroup(group, host, self, nodes)

    def socket(self, name: str) -> str:
        """Where a process of a local Ray can be spoken to; "" of another, whose processes may be anywhere."""
        return str(Path(self._folder) / name) if self.is_local else ""

    def start_replica(self, plan: ReplicaPlan) -> str:
        """As `Replicas.start`. Raises Unavailable, too."""
        return self.wait().start_replica(plan)

    def end_replica(self, replica_id: str) -> None:
        """At once. Raises Unavailable."""
        self.wait().end_replica(replica_id)

    def close(self) -> None:
        """Leave it; a local one ends."""
        with self._told:
            self._closing.set()
            self._host, self._error = None, "Ray has been left"
            self._told.notify_all()
        if self._process is not None:
            self._process.end(DrainTimes(self._config.drain_s).ray_s)
        shutil.rmtree(self._folder, ignore_errors=True)


@dataclass(frozen=True)
class HostedGroup:
    """A GroupHandle (protocol.py) on workers in the host process's care."""

    group: Group
    host: SafeHost
    cluster: RayCluster
    nodes: tuple[str, ...] = ()  # of each worker; empty where Ray does not tell

    @property
    def generation(self) -> int:
        return self.group.generation

    @property
    def world_size(self) -> int:
        return self.group.resources.num_workers

    @property
    def is_lost(self) -> bool:
        """Whether the host process that knew the workers is gone."""
        return self.host.is_lost

    def start(self, request: RunRequest) -> None:
        self.host.start(self.group, request)

    def poll(self, job_id: str, acknowledged: tuple[int, ...]) -> tuple[WorkerStatus, ...]:
        return self.host.poll(self.group, job_id, acknowledged)

    def stop(self, job_id: str) -> None:
        with contextlib.suppress(HostLost):
            self.host.stop(self.group, job_id)

    def write_stacks(self, job_id: str) -> None:
        self.host.write_stacks(self.group, job_id)

    def kill(self) -> None:
        """By the host process there is now: workers of somebody else's Ray outlive the one that started them."""
        try:
            self.cluster.wait().kill(self.group)
        except Unavailable as error:
            _log.warning("the workers of learners/%s are left to Ray: %s", self.group.learner_id, error)


def _own_token(data_dir: Path) -> Path:
    path = data_dir / _TOKEN_FILE
    if not path.exists():
        with tempfile.NamedTemporaryFile("w", dir=data_dir, prefix=_TOKEN_FILE) as file:  # for this user only
            file.write(secrets.token_hex(32))
            file.flush()
            with contextlib.suppress(FileExistsError):  # by another server that shares the folder
                os.link(file.name, path)
    return path
