"""The process that would talk to Ray, over workers that are plain processes (light_worker.py): a start costs no second.

`python -m support.faults.light_host <socket>`, as learnfleet.server.workers.ray_host; the workers' sockets are in the
folder that LIGHT_WORKERS names, where the next host finds them.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from multiprocessing.connection import Client
from pathlib import Path
from typing import Any

from support.faults.light_worker import KEY

from learnfleet.server.domain import Group
from learnfleet.server.workers import ray_host
from learnfleet.server.workers.protocol import RunRequest, WorkerDied, WorkerStatus

VARIABLE = "LIGHT_WORKERS"
WITHOUT_MLFLOW = "FAULTS_WITHOUT_MLFLOW"  # for the server itself
SLOTS = 4
_START_S = 60.0


@dataclass(frozen=True)
class LightGroup:
    """As workers.group.RayGroup."""

    sockets: tuple[Path, ...]

    def start(self, request: RunRequest) -> None:
        self._all("start", request)

    def poll(self, job_id: str, acknowledged: tuple[int, ...]) -> tuple[WorkerStatus, ...]:
        pairs = zip(self.sockets, acknowledged, strict=True)
        return tuple(_ask(socket, "poll", job_id, count) for socket, count in pairs)

    def stop(self, job_id: str) -> None:
        with contextlib.suppress(WorkerDied):
            self._all("stop", job_id)

    def write_stacks(self, job_id: str) -> None:
        """They have none to speak of."""

    def kill(self) -> None:
        for socket in self.sockets:
            with contextlib.suppress(OSError, ValueError):
                os.kill(int(socket.with_suffix(".pid").read_text()), signal.SIGKILL)
            socket.unlink(missing_ok=True)
            socket.with_suffix(".pid").unlink(missing_ok=True)

    def lives(self) -> bool:
        with contextlib.suppress(WorkerDied):
            self._all("ping")
            return True
        return False

    def _all(self, method: str, *arguments: object) -> None:
        for socket in self.sockets:
            _ask(socket, method, *arguments)


def _ask(socket: Path, method: str, *arguments: object) -> Any:
    try:
        with Client(str(socket), authkey=KEY) as connection:
            connection.send((method, arguments))
            fine, answer = connection.recv()
    except (EOFError, OSError) as error:
        raise WorkerDied("a worker process died") from error
    if not fine:
        raise answer
    return answer


class LightHost(ray_host.RayHost):
    """As RayHost, whose way of asking workers it has."""

    def _connect(self, settings: ray_host.RaySettings) -> None:
        self._folder = Path(os.environ[VARIABLE])

    def slots(self) -> tuple[int, int]:
        return SLOTS, 0

    def nodes(self) -> tuple[Any, ...]:
        from learnfleet.server.rpc.ports import Node

        return (Node("light", "127.0.0.1", SLOTS, 0),)

    def ask_for(self, cpu_slots: int, gpu_slots: int, wait_s: float = 0.0) -> None:
        """It grows for nobody."""

    def catalog(self) -> dict[str, Any]:
        known = {"metrics": {}, "losses": {}, "callbacks": {}, "optimizer_arguments": {"adam": []}, "transforms": {}}
        return {"architectures": ["squeezenet1_1"], **known}

    def body(self, architecture: str, cut: int | None) -> None:
        return None

    def complete_export(self, folder: str, onnx: bool, why_not: str) -> None:
        """Its weights are of no network."""

    def start_group(self, group: Group, *_: object) -> tuple[str, ...]:
        made = self._group(group)
        for socket in made.sockets:
            subprocess.Popen(
                [sys.executable, "-m", "support.faults.light_worker", str(socket)],
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        until = time.monotonic() + _START_S
        while not made.lives():
            if time.monotonic() > until:
                raise WorkerDied("the workers did not come up")
            time.sleep(0.02)
        self._groups[ray_host._key(group)] = made  # type: ignore[assignment]
        return _nodes(group)

    def find_group(self, group: Group) -> tuple[str, ...] | None:  # type: ignore[override]
        found = self._group(group)
        if not found.lives():
            found.kill()
            return None
        self._groups[ray_host._key(group)] = found  # type: ignore[assignment]
        return _nodes(group)

    def kill(self, group: Group) -> None:
        self._groups.pop(ray_host._key(group), None)
        self._group(group).kill()

    def _group(self, group: Group) -> LightGroup:
        name = f"{group.learner_id}-{group.generation}"
        return LightGroup(tuple(self._folder / f"{name}-{rank}.s" for rank in range(group.resources.num_workers)))


def _nodes(group: Group) -> tuple[str, ...]:
    return ("light",) * group.resources.num_workers


if __name__ == "__main__":
    from support.faults import light_host

    ray_host.RayHost = light_host.LightHost  # type: ignore[misc]
    ray_host.main()
