"""The worker groups there are: one a learner at most, kept warm between its jobs."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock

from learnfleet.server.config import Config
from learnfleet.server.domain import Group, Resources
from learnfleet.server.failpoints import fp
from learnfleet.server.scheduling.situation import Held
from learnfleet.server.store.base import Store
from learnfleet.server.workers.cluster import HostedGroup, RayCluster

_log = logging.getLogger(__name__)


@dataclass
class _Entry:
    resources: Resources
    workers: HostedGroup | None  # None while they are being started
    idle_since_s: float | None = None  # monotonic; None: at work
    nodes: tuple[str, ...] = ()  # where its workers are, or are to be

    @property
    def places(self) -> tuple[str, ...]:
        return (self.workers.nodes if self.workers else ()) or self.nodes


class GroupPool:
    """Starts, lends, keeps and ends worker groups. Safe to use from several threads."""

    def __init__(
        self, config: Config, store: Store, cluster: RayCluster, clock_s: Callable[[], float] = time.monotonic
    ) -> None:
        self._config, self._store, self._cluster, self._clock_s = config, store, cluster, clock_s
        self._lock = Lock()
        self._entries: dict[str, _Entry] = {}

    def handed_on(self, store: Store) -> GroupPool:
        """The same workers in the care of a pool that writes to `store`; this one is to be used no longer."""
        with self._lock:
            kept = {learner_id: entry for learner_id, entry in self._entries.items() if entry.workers is not None}
            self._entries = {}
        pool = GroupPool(self._config, store, self._cluster, self._clock_s)
        now_s = self._clock_s()
        pool._entries = {
            learner_id: _Entry(entry.resources, entry.workers, now_s) for learner_id, entry in kept.items()
        }
        return pool

    def abandon(self) -> None:
        """End all workers, of which the store knows nothing any more."""
        with self._lock:
            entries, self._entries = self._entries, {}
        for entry in entries.values():
            if entry.workers is not None:
                entry.workers.kill()

    def held(self) -> list[Held]:
        """What is occupied, by whom."""
        with self._lock:
            return [self._held(learner_id, entry) for learner_id, entry in self._entries.items()]

    def _held(self, learner_id: str, entry: _Entry) -> Held:
        since_s = entry.idle_since_s
        idle_for_s = 0.0 if since_s is None else self._clock_s() - since_s
        return Held(learner_id, entry.resources, since_s is not None, idle_for_s, entry.places)

    def is_warm(self, learner_id: str) -> bool:
        with self._lock:
            entry = self._entries.get(learner_id)
            return entry is not None and entry.workers is not None and not entry.workers.is_lost

    def size_of(self, learner_id: str) -> int | None:
        """How many workers the learner has, or is to have."""
        with self._lock:
            entry = self._entries.get(learner_id)
            return entry.resources.num_workers if entry else None

    def reserve(self, learner_id: str, resources: Resources, nodes: tuple[str, ...] = ()) -> None:
        """Occupy the slots for a learner whose job may start; its warm workers, if they fit, are at work again."""
        with self._lock:
            entry = self._entries.get(learner_id)
            if entry is not None and entry.resources == resources:
                entry.idle_since_s = None
                return
            self._entries[learner_id] = _Entry(resources, None, nodes=nodes)
        if entry is not None and entry.workers is not None:
            self._end(learner_id, entry.workers)

    def resume(self, learner_id: str) -> None:
        """A learner's warm workers are at work again, as many as there are."""
        with self._lock:
            self._entries[learner_id].idle_since_s = None

    def obtain(self, learner_id: str) -> HostedGroup:
        """The workers of a reserved learner, started if there are none. Blocks for seconds then.

        Raises WorkerDied; Unavailable while there is no Ray.
        """
        with self._lock:
            entry = self._entries[learner_id]
        if entry.workers is not None and entry.workers.is_lost:
            self.discard_workers(learner_id)
        if entry.workers is None:
            generation = self._store.next_generation(learner_id)
            group = Group(learner_id, generation, entry.resources, self._config.ray_namespace)
            self._store.put_group(group)  # before the actors: a server that dies in between must look for them
            entry.workers = self._cluster.start_group(group, entry.nodes)
            fp("group.started")
        return entry.workers

    def adopt(self, group: Group) -> bool:
        """Take over the workers that a server before this one has started, if they live. Safe to repeat."""
        if self.is_warm(group.learner_id):
            return True
        found = None if self._cluster.is_local else self._cluster.find_group(group)
        if found is None:
            self._store.delete_group(group.learner_id)
            return False
        with self._lock:
            self._entries[group.learner_id] = _Entry(group.resources, found, self._clock_s())
        return True

    def release(self, learner_id: str) -> None:
        """The job is over; the workers stay warm."""
        with self._lock:
            entry = self._entries.get(learner_id)
            if entry is not None:
                entry.idle_since_s = self._clock_s()

    def discard_workers(self, learner_id: str) -> None:
        """End the workers but keep their slots, for new ones."""
        with self._lock:
            entry = self._entries.get(learner_id)
            workers = entry.workers if entry else None
            if entry is not None:
                entry.nodes, entry.workers = entry.places, None
        if workers is not None:
            self._end(learner_id, workers)

    def give_up(self, learner_id: str) -> None:
        """End the workers and free their slots."""
        with self._lock:
            entry = self._entries.pop(learner_id, None)
        if entry is not None and entry.workers is not None:
            self._end(learner_id, entry.workers)

    def give_up_if_idle(self, learner_id: str) -> None:
        """As `give_up`, unless they are at work: between a look and the deed a job may have been admitted."""
        with self._lock:
            entry = self._entries.get(learner_id)
            if entry is None or entry.idle_since_s is None:
                return
            del self._entries[learner_id]
        if entry.workers is not None:
            self._end(learner_id, entry.workers)

    def _end(self, learner_id: str, workers: HostedGroup) -> None:
        workers.kill()
        fp("group.ended")
        self._store.delete_group(learner_id)

    def give_up_idle(self) -> None:
        """End those that have been idle for longer than the setting."""
        for group in self.held():
            if group.is_idle and group.idle_for_s > self._config.idle_timeout_s:
                _log.info("the workers of learners/%s were idle for %.0f s", group.learner_id, group.idle_for_s)
                self.give_up(group.learner_id)
