"""The workers of one learner as Ray actors, placed together or not at all. Runs in the Ray host process."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from learnfleet.server.domain import Group, Resources
from learnfleet.server.workers.failures import death_of, oom_kills
from learnfleet.server.workers.nodes import NODE_LABEL, living_nodes
from learnfleet.server.workers.protocol import ErrorKind, PlaceLost, RunRequest, WorkerDied, WorkerStatus
from learnfleet.server.workers.train_worker import TrainWorker, WorkerConfig, WorkerTelemetry

if TYPE_CHECKING:
    from ray.actor import ActorHandle

_START_TIMEOUT_S = 120.0
_CALL_TIMEOUT_S = 30.0
_STACKS_TIMEOUT_S = 4.0
_EXCHANGE_MORE_S = 30.0  # that an exchange between ranks may take more than a hang: the beats are to tell of it first
_LOOK_EVERY_S = 3.0  # whether the nodes are still there
_CONCURRENT_CALLS = 8

_log = logging.getLogger(__name__)


@dataclass
class RayGroup:
    """A GroupHandle (protocol.py) on named actors `learner/<id>/<generation>/<rank>`."""

    group: Group
    actors: list[ActorHandle[TrainWorker]]
    placement: Any  # ray.util.placement_group.PlacementGroup
    answer_timeout_s: float = 60.0  # a worker that does not answer a poll in it hangs; one that swaps is only slow
    oom_kills: int = field(default_factory=oom_kills)

    @property
    def generation(self) -> int:
        return self.group.generation

    @property
    def world_size(self) -> int:
        return self.group.resources.num_workers

    def nodes(self) -> tuple[str, ...]:
        """The node of each worker; none where Ray has forgotten the placement."""
        from ray.util import placement_group_table

        table = placement_group_table(self.placement) if self.placement is not None else {}
        placed: dict[int, str] = table.get("bundles_to_node_id", {})
        return tuple(placed[rank] for rank in sorted(placed))

    def start(self, request: RunRequest) -> None:
        self._all("start", request, timeout_s=_CALL_TIMEOUT_S)

    def poll(self, job_id: str, acknowledged: tuple[int, ...]) -> tuple[WorkerStatus, ...]:
        calls = [actor.poll.remote(job_id, ack) for actor, ack in zip(self.actors, acknowledged, strict=True)]
        return tuple(self._get(calls, self.answer_timeout_s, ErrorKind.HANG))

    def stop(self, job_id: str) -> None:
        for actor in self.actors:
            actor.stop.remote(job_id)

    def write_stacks(self, job_id: str) -> None:
        import ray

        calls: list[Any] = [actor.write_stacks.remote(job_id) for actor in self.actors]
        ray.wait(calls, num_returns=len(calls), timeout=_STACKS_TIMEOUT_S)

    def pids(self) -> list[int]:
        """Raises WorkerDied."""
        return list(self._all("ping", timeout_s=_CALL_TIMEOUT_S))

    def kill(self) -> None:
        import ray
        from ray.util import remove_placement_group

        for actor in self.actors:
            with contextlib.suppress(Exception):
                ray.kill(actor)
        with contextlib.suppress(Exception):
            remove_placement_group(self.placement)

    def _all(self, method: str, *arguments: object, timeout_s: float) -> list[Any]:
        return self._get([getattr(actor, method).remote(*arguments) for actor in self.actors], timeout_s)

    def _get(self, calls: list[Any], timeout_s: float, if_silent: ErrorKind = ErrorKind.LOST) -> list[Any]:
        """What the ranks answer, all in the same time. Raises WorkerDied for the first that does not."""
        import ray
        from ray.exceptions import GetTimeoutError, OutOfMemoryError, RayActorError

        until_s = time.monotonic() + timeout_s
        answers = []
        for rank, call in enumerate(calls):
            try:
                answers.append(ray.get(call, timeout=max(0.0, until_s - time.monotonic())))
            except (RayActorError, OutOfMemoryError) as error:
                raise death_of(rank, error, oom_killed=oom_kills() > self.oom_kills) from error
            except GetTimeoutError as error:
                raise WorkerDied(f"rank {rank} did not answer within {timeout_s:g} s", if_silent) from error
        return answers


def start_group(
    group: Group,
    nodes: Sequence[str] = (),
    *,
    detached: bool,
    hang_timeout_s: float,
    telemetry: WorkerTelemetry = WorkerTelemetry(),  # noqa: B008
) -> RayGroup:
    """Place and start all workers, each on its node where they are named, and let them meet.

    Raises WorkerDied if they do not come up together, PlaceLost where a node is gone.
    """
    import ray
    from ray.util import placement_group
    from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

    resources = group.resources
    bundle = {"GPU": 1, "CPU": 1} if resources.gpus_per_worker else {"CPU": 1}
    lifetime = "detached" if detached else None
    placement = placement_group(
        [bundle] * resources.num_workers,
        strategy="PACK",
        name=_name(group),
        lifetime=lifetime,
        bundle_label_selector=[{NODE_LABEL: node} for node in nodes] if nodes and all(nodes) else None,
    )
    made = RayGroup(group, [], placement, _answer_timeout_s(hang_timeout_s))
    try:
        _wait_for_place(placement, resources.num_workers, nodes)
        for rank in range(resources.num_workers):
            actor_class = ray.remote(TrainWorker).options(
                name=f"{_name(group)}/{rank}",
                namespace=group.namespace,
                lifetime=lifetime,
                num_cpus=1,
                num_gpus=resources.gpus_per_worker,
                max_concurrency=_CONCURRENT_CALLS,
                max_restarts=0,
                scheduling_strategy=PlacementGroupSchedulingStrategy(placement, rank),
            )
            made.actors.append(actor_class.remote(_config(rank, resources, hang_timeout_s, telemetry)))  # type: ignore[arg-type]
        address = made._get([made.actors[0].address.remote()], _START_TIMEOUT_S)[0]
        made._all("setup", f"tcp://{address}", timeout_s=_START_TIMEOUT_S)
    except BaseException:
        made.kill()
        raise
    return made


def _wait_for_place(placement: Any, workers: int, nodes: Sequence[str]) -> None:
    until_s = time.monotonic() + _START_TIMEOUT_S
    while not placement.wait(_LOOK_EVERY_S):
        gone = {node for node in nodes if node} - {node.id for node in living_nodes()}
        if gone:
            raise PlaceLost(f"{len(gone)} of the nodes that the workers were to start on are gone")
        if time.monotonic() > until_s:
            raise WorkerDied(f"{workers} workers could not be placed within {_START_TIMEOUT_S:g} s")


def find_group(group: Group, hang_timeout_s: float) -> RayGroup | None:
    """The group's living workers, where all of them are there; else None, and what is left of them is ended."""
    import ray
    from ray.util import get_placement_group

    actors = []
    for rank in range(group.resources.num_workers):
        with contextlib.suppress(ValueError):
            actors.append(ray.get_actor(f"{_name(group)}/{rank}", namespace=group.namespace))
    placement = None
    with contextlib.suppress(ValueError):
        placement = get_placement_group(_name(group))
    found = RayGroup(group, actors, placement, _answer_timeout_s(hang_timeout_s))
    try:
        if len(actors) == group.resources.num_workers:
            found.pids()
            return found
    except WorkerDied:
        _log.warning("a worker of %s is gone", _name(group))
    found.kill()
    return None


def _name(group: Group) -> str:
    return f"learner/{group.learner_id}/{group.generation}"


def _config(rank: int, resources: Resources, hang_timeout_s: float, telemetry: WorkerTelemetry) -> WorkerConfig:
    device = "cuda" if resources.gpus_per_worker else "cpu"
    exchange_s = max(WorkerConfig.collective_timeout_s, hang_timeout_s + _EXCHANGE_MORE_S)
    return WorkerConfig(rank, resources.num_workers, device, collective_timeout_s=exchange_s, telemetry=telemetry)


def _answer_timeout_s(hang_timeout_s: float) -> float:
    """Polls are answered by a thread of their own: one that is not, is a process that is stopped or that swaps."""
    return min(RayGroup.answer_timeout_s, hang_timeout_s)
