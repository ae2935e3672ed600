"""Which models are in which replicas: loads, swaps of aliases, pins, and what is forgotten for want of memory."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Any

from learnfleet.server import names
from learnfleet.server.errors import FailedPrecondition, NotFound, ServiceError, Unavailable
from learnfleet.server.inference.fleet import Fleet, Member
from learnfleet.server.inference.link import ReplicaLost
from learnfleet.server.inference.ports import Loaded, ModelInfo
from learnfleet.server.inference.references import References, Target
from learnfleet.server.inference.served import Served, ServedModels
from learnfleet.server.inference.wire import LoadReply, LoadRequest
from learnfleet.server.long_calls import SharedCalls

_LOAD_TIMEOUT_S = 300.0
_UNLOAD_TIMEOUT_S = 30.0
_AGAIN_AFTER_S = 30.0  # a load in the background that failed
_TRIES = 2

_log = logging.getLogger(__name__)


class Holding:
    """Keeps models in the replicas of a fleet. `changed` is called when one holds a model more."""

    def __init__(
        self,
        fleet: Fleet,
        served: ServedModels,
        references: References,
        clock: Callable[[], float],
        changed: Callable[[], None],
    ) -> None:
        self._fleet, self._served, self._references = fleet, served, references
        self._clock, self._changed = clock, changed
        self._holds: SharedCalls[ModelInfo] = SharedCalls()
        self._current: dict[str, Target] = {}  # by alias: what answered last
        self._pins: dict[str, Target] = {}  # by reference
        self._failed_until: dict[str, float] = {}
        self._tasks: set[asyncio.Task[Any]] = set()

    def holders(self, target: Target) -> list[Member]:
        return [member for member in self._fleet.members if target.key in member.memory]

    def is_held(self, target: Target) -> bool:
        return bool(self.holders(target))

    def must_stay(self, member: Member) -> bool:
        """Whether it holds a pinned model that no other does."""
        return any(self.holders(target) == [member] for target in self._pins.values())

    # -- which one answers

    async def choose(self, reference: str) -> Target:
        """The target that answers this call: of an alias that moved the old one, until the new one is warm."""
        choice = await self._references.choose(reference)
        if not choice.keeps_old:
            return choice.main
        picked = self._references.pick(choice)
        if picked is not choice.main and not self._is_warm_or_warms(picked):
            picked = choice.main
        if picked is not choice.main:
            return picked
        old = self._current.get(reference)
        if old is not None and old != picked and self.is_held(old) and not self._is_warm_or_warms(picked):
            return old
        self._current[reference] = picked
        return picked

    def _is_warm_or_warms(self, target: Target) -> bool:
        """Whether it is held; where not, it is loaded in the background."""
        if self.is_held(target):
            return True
        if self._clock() >= self._failed_until.get(target.key, 0.0):
            self._in_background(target)
        return False

    def _in_background(self, target: Target) -> None:
        async def hold() -> None:
            try:
                await self.hold(target)
            except Exception as error:
                self._failed_until[target.key] = self._clock() + _AGAIN_AFTER_S
                _log.warning("%s cannot be loaded: %s", target.name, error)

        self._failed_until.pop(target.key, None)
        task = asyncio.create_task(hold())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def take_over(self, model_id: str) -> None:
        """As far as it is known what the aliases mean now. What does not load is logged: the old version goes on."""
        for reference, old in list(self._current.items()):
            choice = self._references.peek(reference)
            is_of_model = names.parse_model(reference).model == model_id
            if choice is None or not is_of_model or choice.main == old or not self.is_held(old):
                continue
            try:
                await self.hold(choice.main)
            except ServiceError as error:
                self._failed_until[choice.main.key] = self._clock() + _AGAIN_AFTER_S
                _log.warning("%s cannot be loaded: %s", choice.main.name, error)

    # -- loading

    async def hold(self, target: Target) -> ModelInfo:
        """Have it in one replica at least, loaded once however many ask.

        Raises FailedPrecondition where it does not load, Unavailable.
        """
        served = self._served.of(target)
        if served.info is not None and self.is_held(target):
            return served.info
        return await self._holds.join(target.key, lambda: self._hold(served))

    async def _hold(self, served: Served) -> ModelInfo:
        why = ""
        for _ in range(_TRIES):
            member = await self._fleet.any()
            try:
                return await self._load_on(member, served)
            except ReplicaLost as error:
                why = str(error)
                await self._fleet.lose(member)
        raise Unavailable(f"replicas were lost while {served.target.name} was loaded ({why}); try again")

    async def _load_on(self, member: Member, served: Served) -> ModelInfo:
        target = served.target
        reply = await member.loads.join(target.key, lambda: self._loaded(member, target))
        if reply.error:
            raise FailedPrecondition(target.name, f"{target.name} cannot be loaded: {reply.error}")
        served.info = ModelInfo(target.name, reply.kind, reply.classes, reply.size, reply.output_shape)
        return served.info

    async def _loaded(self, member: Member, target: Target) -> LoadReply:
        request = LoadRequest(target.key, target.folder, target.precision, target.channels_last)
        member.loading += 1
        member.idle_since = None
        try:
            reply = await member.link.load(request, _LOAD_TIMEOUT_S)
        finally:
            member.loading -= 1
            member.rest(self._clock())
        if not reply.error:
            member.memory.add(target.key, reply.size_bytes)
            self._changed()
            await self._make_room(member)
        return reply

    async def _make_room(self, member: Member) -> None:
        kept = {target.key for target in self._pins.values()} | set(member.busy)
        for key in member.memory.too_many(kept):
            member.memory.remove(key)
            await member.link.unload(key, _UNLOAD_TIMEOUT_S)

    def spread(self, served: Served) -> None:
        """A model with much to do comes to an idle replica, too."""
        idle = [
            one for one in self._fleet.members if one.idle_since is not None and served.target.key not in one.memory
        ]
        for member in idle[:1]:
            task = asyncio.create_task(self._spread(member, served))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _spread(self, member: Member, served: Served) -> None:
        try:
            await self._load_on(member, served)
        except ReplicaLost:
            await self._fleet.lose(member)
        except ServiceError as error:
            _log.warning("%s is not loaded a second time: %s", served.target.name, error)

    # -- asked for

    async def load(self, reference: str, *, pin: bool) -> ModelInfo:
        target = (await self._references.choose(reference)).main
        if pin:
            self._pins[reference] = target
        try:
            return await self.hold(target)
        except ServiceError:
            self._pins.pop(reference, None)
            raise

    async def unload(self, reference: str) -> None:
        self._pins.pop(reference, None)
        targets = {(await self._references.choose(reference)).main, self._current.pop(reference, None)}
        for target in targets - {None}:
            assert target is not None
            for member in self.holders(target):
                member.memory.remove(target.key)
                try:
                    await member.link.unload(target.key, _UNLOAD_TIMEOUT_S)
                except ReplicaLost:
                    await self._fleet.lose(member)

    async def keep_pinned(self) -> None:
        """A pinned alias that moved has its new version loaded before anybody asks; a replica that died is replaced."""
        for reference, pinned in list(self._pins.items()):
            try:
                target = (await self._references.choose(reference)).main
            except NotFound:
                _log.warning("%s is gone, and pinned no more", reference)
                self._pins.pop(reference, None)
                continue
            except ServiceError:  # it means what it meant
                target = pinned
            if self._is_warm_or_warms(target) and reference in self._pins:
                self._pins[reference] = target

    def loaded(self) -> Sequence[Loaded]:
        pinned = {target.key for target in self._pins.values()}
        counts: dict[str, int] = {}
        sizes: dict[str, int] = {}
        for member in self._fleet.members:
            for key in member.memory.keys:
                counts[key] = counts.get(key, 0) + 1
                sizes[key] = member.memory.size_of(key)
        found = [(key, served) for key in counts if (served := self._served.get(key)) is not None]
        return [Loaded(served.target.name, sizes[key], key in pinned, counts[key]) for key, served in found]
