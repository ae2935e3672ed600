"""The replicas of this server: started, spoken to, found to be dead, ended."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from learnfleet.server.errors import ServiceError, Unavailable
from learnfleet.server.inference.link import ReplicaLink, ReplicaLost
from learnfleet.server.inference.memory import Memory
from learnfleet.server.inference.wire import LoadReply
from learnfleet.server.long_calls import LongCalls, SharedCalls
from learnfleet.server.names import new_id
from learnfleet.server.workers.protocol import WorkerDied

_AT_ONCE = 2  # batches of a replica: one is computed while the next is decoded
_MOST_CALLS = 64  # of which these may consist
_ROUNDING = 1e-6
_CONCURRENT_STARTS = 4
_CONNECT_TIMEOUT_S = 20.0

_log = logging.getLogger(__name__)


class Starter(Protocol):
    """Where replicas come from. Methods block."""

    def start(self, replica_id: str, token: str) -> str:
        """The address of a new one. Raises TimeoutError (no room), WorkerDied, Unavailable."""
        ...

    def end(self, replica_id: str) -> None: ...


@dataclass(eq=False)
class Member:
    """A replica as the server sees it."""

    id: str
    link: ReplicaLink
    memory: Memory
    idle_since: float | None  # None: it has something to do
    busy: Counter[str] = field(default_factory=Counter)  # calls in flight by model
    load: float = 0.0  # in flight, in batches of each model's size
    loads: SharedCalls[LoadReply] = field(default_factory=SharedCalls)
    loading: int = 0
    is_lost: bool = False
    has_suspect: bool = False  # an item over which another may have died

    @property
    def in_flight(self) -> int:
        return self.busy.total()

    def has_room(self, share: float, *, is_suspect: bool = False) -> bool:
        """For so much of a batch. Of two suspects that it died of nobody would know which it was."""
        if is_suspect and self.has_suspect:
            return False
        return self.load + share <= _AT_ONCE + _ROUNDING and self.in_flight < _MOST_CALLS

    def begin(self, key: str, share: float, *, is_suspect: bool = False) -> None:
        self.idle_since = None
        self.has_suspect |= is_suspect
        self.busy[key] += 1
        self.load += share
        self.memory.use(key)

    def end(self, key: str, share: float, now: float, *, is_suspect: bool = False) -> None:
        self.has_suspect &= not is_suspect
        self.busy[key] -= 1
        self.busy += Counter()  # forgets what is at zero
        self.load = self.load - share if self.busy else 0.0
        self.rest(now)

    def rest(self, now: float) -> None:
        """Note since when it has nothing to do."""
        self.idle_since = now if not self.in_flight and not self.loading else None


class Fleet:
    """Grows and shrinks when told to. `changed` is called when a replica came or went."""

    def __init__(
        self, starter: Starter, cache_bytes: int, clock: Callable[[], float], changed: Callable[[], None]
    ) -> None:
        self._starter, self._cache_bytes, self._clock, self._changed = starter, cache_bytes, clock, changed
        self._calls = LongCalls("replicas", _CONCURRENT_STARTS)
        self._first: SharedCalls[Member] = SharedCalls()
        self._watching: set[asyncio.Task[None]] = set()
        self._is_closed = False
        self.members: list[Member] = []
        self.starting = 0

    async def any(self) -> Member:
        """The one with least to do; the first is started where there is none. Raises Unavailable."""
        if not self.members:
            return await self._first.join("first", self.grow)
        return min(self.members, key=lambda member: (member.load + member.loading, member.memory.used_bytes))

    async def grow(self) -> Member:
        """Start one more. Raises Unavailable."""
        if self._is_closed:
            raise Unavailable("the server shuts down")
        self.starting += 1
        replica_id, token = new_id(), secrets.token_hex(32)
        try:
            address = await self._calls.run(self._starter.start, replica_id, token)
        except ServiceError:
            raise
        except (TimeoutError, WorkerDied) as error:
            raise Unavailable(f"{error}; try again") from error
        finally:
            self.starting -= 1
        member = Member(replica_id, ReplicaLink(address, token), Memory(self._cache_bytes), self._clock())
        try:
            await member.link.connect(_CONNECT_TIMEOUT_S)
        except ReplicaLost as error:
            await self._end(member)
            raise Unavailable(f"a replica came up and cannot be reached ({error}); try again") from None
        self.members.append(member)
        task = asyncio.create_task(self._watch(member))
        self._watching.add(task)
        task.add_done_callback(self._watching.discard)
        self._changed()
        return member

    async def _watch(self, member: Member) -> None:
        await member.link.until_lost()
        await self.lose(member)

    async def lose(self, member: Member) -> None:
        """It is dead or of no use: nothing more is sent to it."""
        if member.is_lost:
            return
        member.is_lost = True
        self.members.remove(member)
        _log.warning("a replica was lost; %d are left", len(self.members))
        self._changed()
        await self._end(member)

    async def shrink(self, member: Member) -> None:
        """End one that has nothing to do."""
        member.is_lost = True
        self.members.remove(member)
        await self._end(member)

    async def _end(self, member: Member) -> None:
        await member.link.close()
        try:
            await self._calls.run(self._starter.end, member.id)
        except Exception:  # Ray or the process that talks to it is gone, and the replica with them
            _log.info("replica %s cannot be ended: it has ended, or ends with its cluster", member.id)

    async def close(self) -> None:
        self._is_closed = True
        for task in self._watching:
            task.cancel()
        members, self.members = self.members, []
        for member in members:
            member.is_lost = True
            await member.link.close()
