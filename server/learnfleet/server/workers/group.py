"""The workers of one learner: Ray actors in a placement group, there all together or not at all."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from learnfleet.server.domain import Group
from learnfleet.server.workers.protocol import RunRequest, WorkerDied, WorkerStatus
from learnfleet.server.workers.train_worker import TrainWorker, WorkerConfig

if TYPE_CHECKING:
    from ray import ObjectRef
    from ray.actor import ActorHandle

PLACEMENT_TIMEOUT_S = 60.0
SETUP_TIMEOUT_S = 120.0  # a worker's first import of torch, on a busy machine
ANSWER_TIMEOUT_S = 30.0
_THREADS_A_WORKER = 4  # polls are answered while another call waits

_log = logging.getLogger(__name__)


class WorkerGroup:
    """Handles of a group's actors. Methods block; use from one thread at a time, but `stop` from any."""

    def __init__(self, group: Group, actors: Sequence[ActorHandle]) -> None:
        self.group, self._actors = group, tuple(actors)

    @property
    def generation(self) -> int:
        return self.group.generation

    @classmethod
    def create(cls, group: Group, *, detached: bool) -> WorkerGroup:
        """Place the workers and let them meet.

        Args:
            detached: they outlive this process, for a later one to find them again.

        Raises WorkerDied, after which nothing of the group is left.
        """
        created = cls(group, ())
        try:
            created._place(detached)
            created._meet()
        except BaseException as error:
            created.kill()
            if isinstance(error, _ray_errors()):
                raise WorkerDied(f"the workers of {group.learner_id} did not come up: {error}") from error
            raise
        return created

    @classmethod
    def find(cls, group: Group) -> WorkerGroup | None:
        """The group that an earlier server left behind, if all its workers answer. Otherwise its rest is ended."""
        import ray

        actors = []
        for rank in range(group.resources.num_workers):
            with contextlib.suppress(ValueError):
                actors.append(ray.get_actor(_actor_name(group, rank), namespace=group.namespace))
        found = cls(group, actors)
        if len(actors) == group.resources.num_workers and found.is_alive():
            return found
        found.kill()
        return None

    def _place(self, detached: bool) -> None:
        import ray
        from ray.util.placement_group import placement_group
        from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

        resources, lifetime = self.group.resources, "detached" if detached else None
        bundle = {"GPU": 1, "CPU": 1} if resources.gpus_per_worker else {"CPU": 1}
        size = resources.num_workers
        place = placement_group([bundle] * size, strategy="PACK", name=_group_name(self.group), lifetime=lifetime)
        if not place.wait(PLACEMENT_TIMEOUT_S):
            raise WorkerDied(f"the cluster has not found room for {size} workers in {PLACEMENT_TIMEOUT_S:.0f} s")
        make = ray.remote(TrainWorker)
        self._actors = tuple(
            make.options(
                name=_actor_name(self.group, rank),
                namespace=self.group.namespace,
                lifetime=lifetime,
                num_cpus=1,
                num_gpus=resources.gpus_per_worker,
                max_concurrency=_THREADS_A_WORKER,
                scheduling_strategy=PlacementGroupSchedulingStrategy(place, placement_group_bundle_index=rank),
            ).remote(WorkerConfig(rank, size, "cuda" if resources.gpus_per_worker else "cpu"))
            for rank in range(size)
        )

    def _meet(self) -> None:
        address = self._ask([self._actors[0].address.remote()], SETUP_TIMEOUT_S)[0]
        self._ask([actor.setup.remote(f"tcp://{address}") for actor in self._actors], SETUP_TIMEOUT_S)

    def start(self, request: RunRequest) -> None:
        """Begin an attempt on all ranks. Safe to repeat. Raises WorkerDied, WorkerBusy."""
        self._ask([actor.start.remote(request) for actor in self._actors])

    def poll(self, job_id: str, acknowledged: tuple[int, ...]) -> tuple[WorkerStatus, ...]:
        """One status a rank, asked all at once. Raises WorkerDied, WorkerBusy."""
        pairs = zip(self._actors, acknowledged, strict=True)
        statuses: list[WorkerStatus] = self._ask([actor.poll.remote(job_id, number) for actor, number in pairs])
        return tuple(statuses)

    def is_alive(self) -> bool:
        """Whether all workers answer."""
        try:
            self._ask([actor.ping.remote() for actor in self._actors])
        except WorkerDied:
            return False
        return True

    def stop(self, job_id: str) -> None:
        """Ask for an end at the next batch. Does not wait."""
        for actor in self._actors:
            actor.stop.remote(job_id)

    def kill(self) -> None:
        """End the processes and give their places back. Says nothing of those that are gone already."""
        import ray
        from ray.util.placement_group import remove_placement_group

        for actor in self._actors:
            with contextlib.suppress(*_ray_errors()):
                ray.kill(actor, no_restart=True)
        with contextlib.suppress(ValueError, *_ray_errors()):
            remove_placement_group(ray.util.get_placement_group(_group_name(self.group)))

    def _ask(self, answers: Sequence[ObjectRef], timeout_s: float = ANSWER_TIMEOUT_S) -> list:  # type: ignore[type-arg]
        import ray
        from ray.exceptions import GetTimeoutError, RayActorError, RayTaskError

        try:
            return list(ray.get(list(answers), timeout=timeout_s))
        except GetTimeoutError as error:
            raise WorkerDied(f"a worker has not answered for {timeout_s:.0f} s") from error
        except RayTaskError as error:
            raise error.as_instanceof_cause() from None
        except RayActorError as error:
            raise WorkerDied(_first_line(error)) from error


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


def _ray_errors() -> tuple[type[Exception], ...]:
    from ray.exceptions import RayError

    return (RayError,)


def _group_name(group: Group) -> str:
    return f"learner/{group.learner_id}/{group.generation}"


def _actor_name(group: Group, rank: int) -> str:
    return f"{_group_name(group)}/{rank}"
