"""Where the processes that predict are, and what Ray has set aside for them. Runs in the process that talks to Ray.

Those of all servers: a standby predicts, too, with processes of its own, whose CPUs no job can have.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from threading import Lock
from typing import Any

_PREFIX = "replica/"


@dataclass(frozen=True)
class Taken:
    """What one of them occupies."""

    node: str  # Ray's id of it
    cpus: float
    gpus: float


def name_of(replica_id: str) -> str:
    """Of its Ray actor."""
    return _PREFIX + replica_id


class Places:
    """What is known of them. Each is asked once, as it stays where it is. Safe to use from several threads."""

    def __init__(self) -> None:
        self._known: dict[str, Taken] = {}
        self._asked: dict[str, Any] = {}
        self._lock = Lock()

    def look(self) -> tuple[Taken, ...]:
        """Those that are up, of this Ray namespace."""
        from ray.util import list_named_actors

        names = {name for name in list_named_actors() if name.startswith(_PREFIX)}
        with self._lock:
            self._known = {name: place for name, place in self._known.items() if name in names}
            self._asked = {name: call for name, call in self._asked.items() if name in names}
            for name in names - self._known.keys():
                self._ask(name)
            return tuple(self._known.values())

    def _ask(self, name: str) -> None:
        """Without waiting: one that is not placed yet occupies nothing, and is asked at the next look."""
        import ray

        with contextlib.suppress(Exception):  # it has ended meanwhile, or is of a server that knows no such question
            if name not in self._asked:
                self._asked[name] = ray.get_actor(name).place.remote()
            ready, _ = ray.wait([self._asked[name]], timeout=0)
            if ready:
                self._known[name] = Taken(*ray.get(ready[0]))
