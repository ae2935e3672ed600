"""The process that talks to Ray for the control server (`python -m learnfleet.server.workers.ray_host`).

Ray's driver aborts its process when it loses the cluster, and brings threads and memory that answering RPCs does not
need. So it has a process of its own, spoken to over a Unix socket that only the server, its parent, can open. It ends
when its standard input does, that is with its parent however that ends; a local Ray ends with it.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from multiprocessing.managers import BaseManager
from pathlib import Path
from typing import Any

from learnfleet.server.domain import Group
from learnfleet.server.inference.actors import Replicas
from learnfleet.server.inference.places import Places
from learnfleet.server.inference.plan import ReplicaPlan
from learnfleet.server.rpc.ports import Node
from learnfleet.server.telemetry.logs import LogSettings, log_uncaught, set_up
from learnfleet.server.workers.autoscaling import Autoscaler
from learnfleet.server.workers.explain_worker import Explained, ExplainWorker
from learnfleet.server.workers.group import RayGroup, find_group, start_group
from learnfleet.server.workers.nodes import living_nodes
from learnfleet.server.workers.protocol import RunRequest, WorkerDied, WorkerStatus
from learnfleet.server.workers.ray_access import OpenCluster, require_token
from learnfleet.server.workers.train_worker import WorkerTelemetry
from learnfleet.trainer.body_info import BodyInfo
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.model_card import OnnxFacts

_EXPLAIN_TIMEOUT_S = 50.0  # less than callers wait for an answer
_DESCRIBE_TIMEOUT_S = 40.0  # less than callers wait for an answer
_COMPLETE_TIMEOUT_S = 600.0
_ANY_HERE = "auto"  # a cluster that Ray finds: by RAY_ADDRESS, or as a node of this machine

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RaySettings:
    """Which Ray to talk to."""

    address: str | None  # None: start a local one
    namespace: str
    num_cpus: int  # of a local one
    object_store_bytes: int
    hang_timeout_s: float = 120.0  # of a worker
    counts_replicas: bool = False  # whether processes that predict have slots of their own
    telemetry: WorkerTelemetry = field(default_factory=WorkerTelemetry)


class RayHost:
    """Ray for the control server. Methods block; they are called from several threads."""

    def __init__(self) -> None:
        self._groups: dict[tuple[str, int], RayGroup] = {}
        self._explainer: Any = None
        self._replicas, self._places, self._counts_replicas = Replicas(), Places(), False
        self._autoscaler = Autoscaler()
        self._hang_timeout_s, self._telemetry = RaySettings.hang_timeout_s, WorkerTelemetry()
        self._lock = threading.Lock()
        # The kernel ends a local Ray's processes when the thread that forked them does: it must stay.
        self._starter = ThreadPoolExecutor(1, thread_name_prefix="ray-starter")

    def connect(self, settings: RaySettings) -> None:
        """Start or join Ray."""
        self._hang_timeout_s, self._telemetry = settings.hang_timeout_s, settings.telemetry
        self._counts_replicas = settings.counts_replicas
        self._starter.submit(self._connect, settings).result()

    def _connect(self, settings: RaySettings) -> None:
        import ray

        if settings.address is not None:
            wants_token = os.environ.get("RAY_AUTH_MODE") == "token"
            if wants_token and settings.address != _ANY_HERE:
                require_token(settings.address)
            ray.init(settings.address, namespace=settings.namespace, log_to_driver=False, logging_level=logging.ERROR)
            if wants_token and settings.address == _ANY_HERE:  # Ray has looked for it: only now it is known which
                _leave_if_open(ray.get_runtime_context().gcs_address)
            return
        ray.init(
            "local",
            num_cpus=settings.num_cpus,
            namespace=settings.namespace,
            include_dashboard=False,
            object_store_memory=settings.object_store_bytes,
            log_to_driver=False,
            logging_level=logging.ERROR,
        )

    def ping(self) -> None:
        """Answers at once, whatever Ray does."""

    def nodes(self) -> tuple[Node, ...]:
        """The living machines of the cluster and what they offer."""
        return living_nodes(self._places.look() if self._counts_replicas else ())

    def ask_for(self, cpu_slots: int, gpu_slots: int, wait_s: float = 0.0) -> None:
        """Have the cluster grow to so many, if it can."""
        self._autoscaler.ask(cpu_slots, gpu_slots, wait_s)

    def catalog(self) -> dict[str, Any]:
        """What a worker says it can do."""
        import ray

        return dict(ray.get(ray.remote(num_cpus=0)(_available).remote()))  # type: ignore[arg-type]

    def body(self, architecture: str, cut: int | None) -> BodyInfo | LearnerError | None:
        """What a worker says an architecture needs; the user's error; None where it cannot tell, or not in time."""
        import ray
        from ray.exceptions import RayError

        try:
            asked = ray.remote(num_cpus=0)(_describe_body).remote(architecture, cut)
            return ray.get(asked, timeout=_DESCRIBE_TIMEOUT_S)
        except RayError:  # whatever its code does wrong is told by the job that needs it
            _log.warning("%s cannot be described", architecture, exc_info=True)
            return None

    def complete_export(self, folder: str, onnx: bool, why_not: str) -> OnnxFacts | LearnerError | None:
        """Have a process of its own add to an export what needs torch: what became of ONNX; the user's error.

        Raises WorkerDied when it dies or takes too long, RuntimeError for what else goes wrong in it.
        """
        import ray
        from ray.exceptions import GetTimeoutError, OutOfMemoryError, RayTaskError, WorkerCrashedError

        task = ray.remote(num_cpus=0, max_calls=1, max_retries=0)(_complete_export)  # its memory is given back
        asked = task.remote(folder, onnx, why_not)
        try:
            return ray.get(asked, timeout=_COMPLETE_TIMEOUT_S)
        except GetTimeoutError:
            ray.cancel(asked, force=True)
            raise WorkerDied(f"the export was not complete after {_COMPLETE_TIMEOUT_S:g} s") from None
        except (WorkerCrashedError, OutOfMemoryError) as error:
            told = "the process that completed the export died; it may need more memory than there was"
            raise WorkerDied(told) from error
        except RayTaskError as error:  # of a class that the server has not
            raise RuntimeError(f"the export was not completed: {error.cause!r}") from None

    def start_group(self, group: Group, nodes: Sequence[str], detached: bool) -> tuple[str, ...]:
        """The node of each worker. Raises WorkerDied, PlaceLost."""
        made = self._groups[_key(group)] = start_group(
            group, nodes, detached=detached, hang_timeout_s=self._hang_timeout_s, telemetry=self._telemetry
        )
        return made.nodes()

    def find_group(self, group: Group) -> tuple[str, ...] | None:
        """The node of each worker, if all of a group's live; they can be used from then on."""
        found = find_group(group, self._hang_timeout_s)
        if found is None:
            return None
        self._groups[_key(group)] = found
        return found.nodes()

    def start(self, group: Group, request: RunRequest) -> None:
        self._of(group).start(request)

    def poll(self, group: Group, job_id: str, acknowledged: tuple[int, ...]) -> tuple[WorkerStatus, ...]:
        return self._of(group).poll(job_id, acknowledged)

    def stop(self, group: Group, job_id: str) -> None:
        self._of(group).stop(job_id)

    def write_stacks(self, group: Group, job_id: str) -> None:
        self._of(group).write_stacks(job_id)

    def kill(self, group: Group) -> None:
        # A host before this one may have started it.
        found = self._groups.pop(_key(group), None) or find_group(group, self._hang_timeout_s)
        if found is not None:
            found.kill()

    def _of(self, group: Group) -> RayGroup:
        try:
            return self._groups[_key(group)]
        except KeyError:
            raise WorkerDied("the workers were ended") from None

    def start_replica(self, plan: ReplicaPlan) -> str:
        """The address to dial. Raises TimeoutError, WorkerDied."""
        return self._replicas.start(plan)

    def end_replica(self, replica_id: str) -> None:
        self._replicas.end(replica_id)

    def explain(self, export: str, image: bytes, method: str, class_name: str | None) -> Explained:
        """In a process of its own: it takes seconds of gradients, which predictions must not wait for."""
        import ray
        from ray.exceptions import GetTimeoutError, RayActorError

        with self._lock:
            if self._explainer is None:
                made = ray.remote(ExplainWorker).options(num_cpus=0, max_concurrency=1)
                self._explainer = made.remote(logs=self._telemetry.logs)
            actor = self._explainer
        try:
            asked = actor.explain.remote(export, image, method, class_name)
            return ray.get(asked, timeout=_EXPLAIN_TIMEOUT_S)  # type: ignore[no-any-return]
        except GetTimeoutError:
            raise TimeoutError(f"there was no explanation within {_EXPLAIN_TIMEOUT_S:g} s") from None
        except RayActorError as error:
            with self._lock:
                self._explainer = None if self._explainer is actor else self._explainer
            raise WorkerDied("the explaining process died") from error


def _leave_if_open(address: str) -> None:
    """Raises OpenCluster as `require_token` does."""
    import ray

    try:
        require_token(address)
    except OpenCluster:
        ray.shutdown()
        raise


def _key(group: Group) -> tuple[str, int]:
    return group.learner_id, group.generation


def _available() -> dict[str, Any]:
    """Runs in a worker process."""
    from learnfleet.trainer.catalog import available_catalog

    return available_catalog()


def _describe_body(architecture: str, cut: int | None) -> BodyInfo | LearnerError:
    """Runs in a worker process."""
    from learnfleet.trainer.architecture_info import describe_body

    try:
        return describe_body(architecture, cut)
    except LearnerError as error:
        return error


def _complete_export(folder: str, onnx: bool, why_not: str) -> OnnxFacts | LearnerError | None:
    """Runs in a worker process."""
    from learnfleet.trainer.export_parts import complete

    try:
        return complete(Path(folder), onnx=onnx, why_not=why_not)
    except LearnerError as error:
        return error


class HostManager(BaseManager):
    """The socket between the two."""


def main() -> None:
    """Serve on the socket named by the argument; the key is the first line of standard input."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the server, which then ends this in order
    set_up(LogSettings.of_environment())
    log_uncaught()
    key = bytes.fromhex(sys.stdin.readline().strip())
    host = RayHost()
    HostManager.register("host", callable=lambda: host)
    server = HostManager(sys.argv[1], key).get_server()
    threading.Thread(target=_end_with_parent, daemon=True).start()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    server.serve_forever()


def _end_with_parent() -> None:
    sys.stdin.read()
    with contextlib.suppress(Exception):
        import ray

        ray.shutdown()
    os._exit(0)


if __name__ == "__main__":
    # Under its importable name: what is pickled here is unpickled elsewhere.
    from learnfleet.server.workers.ray_host import main as run

    run()
