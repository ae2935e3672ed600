"""The process of ray_host.py as the control server sees it: started, asked, and found to be gone."""

from __future__ import annotations

import contextlib
import secrets
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from learnfleet.server.domain import Group
from learnfleet.server.errors import Unavailable
from learnfleet.server.inference.plan import ReplicaPlan
from learnfleet.server.rpc.ports import Node
from learnfleet.server.workers.explain_worker import Explained
from learnfleet.server.workers.protocol import ErrorKind, RunRequest, WorkerDied, WorkerStatus
from learnfleet.server.workers.ray_host import HostManager, RayHost, RaySettings
from learnfleet.trainer.body_info import BodyInfo
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.model_card import OnnxFacts

_END_TIMEOUT_S = 15.0
_NOTICE_S = 1.0  # a process's sockets close before its end is seen

P = ParamSpec("P")
T = TypeVar("T")


class HostLost(WorkerDied, Unavailable):
    """The process that talks to Ray died. To a job: its workers are gone; to a caller: the same may succeed later."""

    def __init__(self) -> None:
        super().__init__("the process that talks to Ray died; a new one is started", ErrorKind.SERVER)


class HostProcess:
    """Starts the process. Raises RuntimeError if it does not come up; `connect` then lets it start or join Ray."""

    def __init__(self, socket: Path, environment: Mapping[str, str]) -> None:
        key = secrets.token_bytes(32)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "learnfleet.server.workers.ray_host", str(socket)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=dict(environment),
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(key.hex() + "\n")
        self._process.stdin.flush()
        if self._process.stdout.readline().strip() != "ready":
            raise RuntimeError(f"its host process ended with status {self._process.wait()}; see the lines above")
        HostManager.register("host")
        manager = HostManager(str(socket), key)
        manager.connect()
        self.host = SafeHost(manager.host(), self.has_ended)  # type: ignore[attr-defined]

    @property
    def pid(self) -> int:
        return self._process.pid

    def connect(self, settings: RaySettings) -> None:
        """Start or join Ray. Blocks for seconds; raises whatever Ray does."""
        self.host.connect(settings)

    def has_ended(self, timeout_s: float | None = None) -> bool:
        """Whether the process is gone, waited for at most so long (None: until it is)."""
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return False
        return True

    def answers(self, timeout_s: float) -> bool:
        """Whether the process says anything within the time."""
        answered = threading.Event()

        def ask() -> None:
            with contextlib.suppress(HostLost):
                self.host.ping()
                answered.set()

        threading.Thread(target=ask, name="ray-ping", daemon=True).start()
        return answered.wait(timeout_s)

    def kill(self) -> None:
        self._process.kill()

    def end(self, within_s: float = _END_TIMEOUT_S) -> None:
        """Leave Ray, and end the process if it has not ended in time."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        if not self.has_ended(within_s):
            self._process.kill()
            self._process.wait()


class SafeHost:
    """The methods of RayHost, which see. Where their process is gone they raise HostLost, and nothing of sockets."""

    def __init__(self, host: RayHost, has_ended: Callable[[float], bool]) -> None:
        self._host, self._has_ended = host, has_ended

    @property
    def is_lost(self) -> bool:
        return self._has_ended(0)

    def connect(self, settings: RaySettings) -> None:
        self._host.connect(settings)

    def ping(self) -> None:
        self._ask(self._host.ping)

    def nodes(self) -> tuple[Node, ...]:
        return self._ask(self._host.nodes)

    def ask_for(self, cpu_slots: int, gpu_slots: int, wait_s: float = 0.0) -> None:
        self._ask(self._host.ask_for, cpu_slots, gpu_slots, wait_s)

    def catalog(self) -> dict[str, Any]:
        return self._ask(self._host.catalog)

    def body(self, architecture: str, cut: int | None) -> BodyInfo | LearnerError | None:
        return self._ask(self._host.body, architecture, cut)

    def complete_export(self, folder: str, onnx: bool, why_not: str) -> OnnxFacts | LearnerError | None:
        return self._ask(self._host.complete_export, folder, onnx, why_not)

    def start_group(self, group: Group, nodes: Sequence[str], detached: bool) -> tuple[str, ...]:
        return self._ask(self._host.start_group, group, nodes, detached)

    def find_group(self, group: Group) -> tuple[str, ...] | None:
        return self._ask(self._host.find_group, group)

    def start(self, group: Group, request: RunRequest) -> None:
        self._ask(self._host.start, group, request)

    def poll(self, group: Group, job_id: str, acknowledged: tuple[int, ...]) -> tuple[WorkerStatus, ...]:
        return self._ask(self._host.poll, group, job_id, acknowledged)

    def stop(self, group: Group, job_id: str) -> None:
        self._ask(self._host.stop, group, job_id)

    def write_stacks(self, group: Group, job_id: str) -> None:
        self._ask(self._host.write_stacks, group, job_id)

    def kill(self, group: Group) -> None:
        self._ask(self._host.kill, group)

    def start_replica(self, plan: ReplicaPlan) -> str:
        return self._ask(self._host.start_replica, plan)

    def end_replica(self, replica_id: str) -> None:
        self._ask(self._host.end_replica, replica_id)

    def explain(self, export: str, image: bytes, method: str, class_name: str | None) -> Explained:
        return self._ask(self._host.explain, export, image, method, class_name)

    def _ask(self, method: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return method(*args, **kwargs)
        except TimeoutError:  # an answer of the host's
            raise
        except (EOFError, OSError) as error:
            self._has_ended(_NOTICE_S)  # so that who asks again does not meet the same process
            raise HostLost from error
