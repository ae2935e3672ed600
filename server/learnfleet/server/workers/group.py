"""The workers of one learner as Ray actors, placed together or not at all."""

from __future__ import annotations

import contextlib
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from learnfleet.server.domain import Group, Resources
from learnfleet.server.workers.protocol import RunRequest, WorkerDied, WorkerStatus
from learnfleet.server.workers.train_worker import TrainWorker, WorkerConfig

if TYPE_CHECKING:
    from ray.actor import ActorHandle

_START_TIMEOUT_S = 120.0
_CALL_TIMEOUT_S = 30.0
_POLL_TIMEOUT_S = 15.0
_CONCURRENT_CALLS = 8

_log = logging.getLogger(__name__)


@dataclass
class RayGroup:
    """A GroupHandle (protocol.py) on named actors `learner/<id>/<generation>/<rank>`."""

    group: Group
    actors: list[ActorHandle[TrainWorker]]
    placement: Any  # ray.util.placement_group.PlacementGroup

    @property
    def generation(self) -> int:
        return self.group.generation

    def start(self, request: RunRequest) -> None:
        self._all("start", request, timeout_s=_CALL_TIMEOUT_S)

    def poll(self, job_id: str, acknowledged: tuple[int, ...]) -> tuple[WorkerStatus, ...]:
        calls = [actor.poll.remote(job_id, ack) for actor, ack in zip(self.actors, acknowledged, strict=True)]
        return tuple(_get(calls, _POLL_TIMEOUT_S))

    def stop(self, job_id: str) -> None:
        for actor in self.actors:
            actor.stop.remote(job_id)

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
        return _get([getattr(actor, method).remote(*arguments) for actor in self.actors], timeout_s)


def _get(calls: list[Any], timeout_s: float) -> list[Any]:
    import ray
    from ray.exceptions import GetTimeoutError, RayActorError

    try:
        return list(ray.get(calls, timeout=timeout_s))
    except RayActorError as error:
        raise WorkerDied(f"a worker process died: {str(error).splitlines()[0]}") from error
    except GetTimeoutError as error:
        raise WorkerDied(f"a worker did not answer within {timeout_s:g} s") from error


def start_group(group: Group, *, detached: bool) -> RayGroup:
    """Place and start all workers, and let them meet. Raises WorkerDied if they do not come up together."""
    import ray
    from ray.util import placement_group
    from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

    resources = group.resources
    bundle = {"GPU": 1, "CPU": 1} if resources.gpus_per_worker else {"CPU": 1}
    lifetime = "detached" if detached else None
    placement = placement_group([bundle] * resources.num_workers, strategy="PACK", name=_name(group), lifetime=lifetime)
    made = RayGroup(group, [], placement)
    try:
        if not placement.wait(_START_TIMEOUT_S):
            raise WorkerDied(f"{resources.num_workers} workers could not be placed within {_START_TIMEOUT_S:g} s")
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
            made.actors.append(actor_class.remote(_config(rank, resources)))  # type: ignore[arg-type]
        address = _get([made.actors[0].address.remote()], _START_TIMEOUT_S)[0]
        made._all("setup", f"tcp://{address}", timeout_s=_START_TIMEOUT_S)
    except BaseException:
        made.kill()
        raise
    return made


def find_group(group: Group) -> RayGroup | None:
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
    found = RayGroup(group, actors, placement)
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


def _config(rank: int, resources: Resources) -> WorkerConfig:
    return WorkerConfig(rank, resources.num_workers, "cuda" if resources.gpus_per_worker else "cpu")
