"""Replicas as Ray actors. Runs in the process that talks to Ray."""

from __future__ import annotations

import contextlib
import logging
from typing import Any

from learnfleet.server.inference.places import name_of
from learnfleet.server.inference.plan import ReplicaPlan
from learnfleet.server.workers.protocol import WorkerDied

_CONCURRENT_CALLS = 2

_log = logging.getLogger(__name__)


class Replicas:
    """Those of one server; they end with it. Methods block, and may be called from several threads."""

    def __init__(self) -> None:
        self._actors: dict[str, Any] = {}

    def start(self, plan: ReplicaPlan) -> str:
        """The address to dial. Raises TimeoutError where there is no room or it does not come up, and WorkerDied."""
        import ray
        from ray.exceptions import GetTimeoutError, RayActorError

        from learnfleet.server.inference.replica import Replica  # brings what decodes pictures

        actor_class = ray.remote(Replica).options(
            name=name_of(plan.id),
            num_cpus=plan.cpus,
            num_gpus=plan.gpus,
            max_concurrency=_CONCURRENT_CALLS,
            max_restarts=0,
        )
        actor: Any = actor_class.remote(plan.settings)
        self._actors[plan.id] = actor
        try:
            where = f"unix:{plan.socket}" if plan.socket else _address_of(actor, plan.timeout_s)
            address: str = ray.get(actor.listen.remote(where), timeout=plan.timeout_s)
        except GetTimeoutError:
            self.end(plan.id)
            needs = f"{plan.cpus:g} CPUs and {plan.gpus:g} GPUs"
            raise TimeoutError(f"no replica came up in {plan.timeout_s:g} s; it needs {needs} of the cluster") from None
        except RayActorError as error:
            self.end(plan.id)
            raise WorkerDied(f"a replica died as it came up: {error}") from None
        return address

    def end(self, replica_id: str) -> None:
        """At once, with whatever it computes."""
        import ray

        actor = self._actors.pop(replica_id, None)
        if actor is not None:
            with contextlib.suppress(Exception):
                ray.kill(actor)


def _address_of(actor: Any, timeout_s: float) -> str:
    import ray

    address: str = ray.get(actor.node_address.remote(), timeout=timeout_s)
    return address
