"""All worker groups of a server: those at work, and those kept warm between two jobs of their learner."""

from __future__ import annotations

import dataclasses
import logging
from datetime import UTC, datetime
from threading import Lock

from learnfleet.server.domain import Group, Resources
from learnfleet.server.store.base import Store
from learnfleet.server.workers.group import WorkerGroup

_log = logging.getLogger(__name__)


class GroupPool:
    """Takes groups out, puts them back. Safe to use from several threads; what blocks is done outside the lock."""

    def __init__(self, store: Store, namespace: str, *, detached: bool) -> None:
        self._store, self._namespace, self._detached = store, namespace, detached
        self._idle: dict[str, WorkerGroup] = {}
        self._lock = Lock()

    def acquire(self, learner_id: str, resources: Resources) -> WorkerGroup:
        """The learner's warm group if it has that size and lives, else a new one. Raises WorkerDied."""
        warm = self._take(learner_id)
        if warm is not None:
            if warm.group.resources == resources and warm.is_alive():
                return warm
            self.discard(warm)
        group = Group(learner_id, self._store.next_generation(learner_id), resources, self._namespace)
        self._store.put_group(group)
        return WorkerGroup.create(group, detached=self._detached)

    def _take(self, learner_id: str) -> WorkerGroup | None:
        with self._lock:
            return self._idle.pop(learner_id, None)

    def release(self, group: WorkerGroup) -> None:
        """Keep a group warm."""
        now = datetime.now(UTC)
        self._store.put_group(dataclasses.replace(group.group, idle_since=now))
        with self._lock:
            self._idle[group.group.learner_id] = group

    def discard(self, group: WorkerGroup) -> None:
        """End a group."""
        group.kill()
        self._store.delete_group(group.group.learner_id)

    def give_up(self, learner_id: str) -> None:
        """End the learner's warm group, if there is one."""
        warm = self._take(learner_id)
        if warm is not None:
            _log.info("the workers of learners/%s are given up", learner_id)
            self.discard(warm)

    def idle(self) -> dict[str, Resources]:
        """Learners with a warm group, and its size."""
        with self._lock:
            return {learner_id: group.group.resources for learner_id, group in self._idle.items()}

    def is_warm(self, learner_id: str) -> bool:
        with self._lock:
            return learner_id in self._idle

    def recover(self) -> dict[str, WorkerGroup]:
        """Groups of an earlier server that still live, by learner; all others are forgotten. Call once, at the start."""
        found: dict[str, WorkerGroup] = {}
        for group in self._store.list_groups():
            living = WorkerGroup.find(group) if self._detached else None
            if living is None:
                self._store.delete_group(group.learner_id)
            else:
                found[group.learner_id] = living
        return found

    def close(self) -> None:
        """End the warm groups. Detached ones stay, for the next server."""
        if not self._detached:
            for learner_id in self.idle():
                self.give_up(learner_id)
