"""Answers for models: items wait in a line for each model, and replicas with room take them in batches."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import Any

from prometheus_client import CollectorRegistry

from learnfleet.server.errors import FailedPrecondition, ResourceExhausted, ServiceError, Unavailable
from learnfleet.server.inference.describe import describe_export
from learnfleet.server.inference.fleet import Fleet, Member, Starter
from learnfleet.server.inference.holding import Holding
from learnfleet.server.inference.line import Full, Waiting, answers_of, fail
from learnfleet.server.inference.link import ReplicaLost
from learnfleet.server.inference.ports import EngineFigures, InferOptions, Input, Loaded, ModelInfo, Reply
from learnfleet.server.inference.references import References
from learnfleet.server.inference.scaler import BUSY, Scaler, ScaleSettings
from learnfleet.server.inference.served import Served, ServedModels
from learnfleet.server.inference.wire import InferReply, InferRequest
from learnfleet.server.long_calls import LongCalls
from learnfleet.server.telemetry.inference_metrics import InferenceMetrics
from learnfleet.server.telemetry.prediction_traces import PredictionTraces
from learnfleet.server.telemetry.tracing import TraceSettings, Tracing

_INFER_TIMEOUT_S = 120.0  # of a batch: a replica that takes longer hangs
_TICK_S = 0.5
_NO_ROOM_PAUSE_S = 30.0  # after a replica did not come up
_CONCURRENT_READS = 2  # of exports that somebody asks about

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class EngineSettings:
    """How an engine batches and scales. Sizes are items, times seconds."""

    scale: ScaleSettings
    max_batch: int = 32
    batch_delay_s: float = 0.0  # that a batch waits to be filled while a replica is free
    max_waiting: int = 1024  # items of one model
    cache_bytes: int = 4 * 2**30  # of models, in each replica


class Engine:
    """The `Inference` of a control server. All methods belong to its event loop."""

    def __init__(
        self,
        references: References,
        starter: Starter,
        settings: EngineSettings,
        clock: Callable[[], float] = time.monotonic,
        metrics: InferenceMetrics | None = None,
        traces: PredictionTraces | None = None,
    ) -> None:
        self._references, self._settings, self._clock = references, settings, clock
        self._metrics = metrics or InferenceMetrics(CollectorRegistry())
        self._traces = traces or PredictionTraces(Tracing(TraceSettings(), ""))
        self._fleet = Fleet(starter, settings.cache_bytes, clock, self._pump)
        self._served = ServedModels(settings.max_batch, settings.max_waiting)
        self._holding = Holding(self._fleet, self._served, references, clock, self._pump)
        self._scaler = Scaler(settings.scale)
        self._no_room_until = -math.inf
        self._tasks: set[asyncio.Task[Any]] = set()
        self._ticking: asyncio.Task[None] | None = None
        self._alarm: asyncio.TimerHandle | None = None
        self._reading = LongCalls("describe", _CONCURRENT_READS)
        self._loop: asyncio.AbstractEventLoop | None = None  # from `start` to `close`

    # -- Inference

    async def infer(
        self, model: str, inputs: Sequence[Input], options: InferOptions, timeout_s: float | None = None
    ) -> Reply:
        self.start()
        arrived = self._clock()
        deadline = math.inf if timeout_s is None else arrived + timeout_s
        served = self._served.of(await self._holding.choose(model))
        self._metrics.asked(is_held=self._holding.is_held(served.target))
        waiting = [Waiting(item, options, arrived, deadline, asyncio.Future()) for item in inputs]
        self._line_up(served, waiting)
        self._pump()
        answers = await answers_of(waiting, timeout_s)
        self._traces.answered(served.target.name, answers)
        return Reply(await self._known(served), answers)

    async def describe(self, model: str) -> ModelInfo:
        return await self._known(self._served.of(await self._holding.choose(model)))

    async def _known(self, served: Served) -> ModelInfo:
        """What it is; by its files where it is not loaded, or was forgotten here while a replica holds it."""
        if served.info is None:
            served.info = await self._reading.run(describe_export, served.target)
        return served.info

    async def is_ready(self, model: str) -> bool:
        try:
            return self._holding.is_held((await self._references.choose(model)).main)
        except ServiceError:
            return False

    async def load(self, model: str, *, pin: bool = False) -> ModelInfo:
        self.start()
        return await self._holding.load(model, pin=pin)

    async def unload(self, model: str) -> None:
        await self._holding.unload(model)

    async def loaded(self) -> Sequence[Loaded]:
        return self._holding.loaded()

    async def owner(self, model: str) -> str | None:
        return await self._references.owner(model)

    # -- before anybody asks

    async def prepare(self) -> None:
        """Have a replica, where there is none and none is coming up."""
        if not (self._fleet.members or self._fleet.starting) and self._clock() >= self._no_room_until:
            await self._grow()

    async def take_over(self, model_id: str) -> None:
        """Have the versions warm that aliases of a model mean now, where an older one answers for them."""
        await self._holding.take_over(model_id)

    def from_thread(self, work: Callable[[], Coroutine[Any, Any, None]]) -> Future[None] | None:
        """Have it done on the event loop; None where there is none: before `start` and after `close`."""
        loop = self._loop
        return None if loop is None else asyncio.run_coroutine_threadsafe(work(), loop)

    def figures(self) -> EngineFigures:
        """How it stands."""
        members = self._fleet.members
        return EngineFigures(
            len(members),
            self._fleet.starting,
            sum(member.idle_since is None for member in members),
            sum(len(served.line) for served in self._served),
            len({key for member in members for key in member.memory.keys}),
            sum(member.memory.used_bytes for member in members),
        )

    # -- life

    def start(self) -> None:
        """Begin to look after the replicas. May be called again."""
        if self._ticking is None:
            self._loop = asyncio.get_running_loop()
            self._ticking = asyncio.create_task(self._tick())

    async def close(self) -> None:
        """Leave the replicas, which end with their cluster or the process that talks to it."""
        self._loop = None
        for task in (*self._tasks, *([self._ticking] if self._ticking else [])):
            task.cancel()
        if self._alarm is not None:
            self._alarm.cancel()
        for served in self._served:
            fail(served.line.take_all(), Unavailable("the server shuts down"))
        await self._fleet.close()

    # -- lines

    def _line_up(self, served: Served, waiting: Sequence[Waiting]) -> None:
        served.line.drop(self._clock())
        try:
            served.line.add(waiting)
        except Full:
            self._metrics.refused(len(waiting))
            room, present = self._settings.max_waiting, len(served.line)
            raise ResourceExhausted(
                f"{present} items wait for {served.target.name}, and there is room for {room}: {len(waiting)} more are"
                " too many; send less at once, or try again later",
                served.emptied_in_s(len(self._fleet.members)),
            ) from None

    def _pump(self) -> None:
        """Send what waits to replicas that are free; have models loaded that somebody waits for."""
        now = self._clock()
        due: list[float] = []
        for served in self._served.by_age():
            served.line.drop(now)
            if len(served.line) and not self._holding.holders(served.target):
                if not served.is_placing:
                    self._spawn(self._place(served))
            else:
                due += self._send(served, now)
            served.note(now)
        self._wake_at(min(due, default=None))

    def _send(self, served: Served, now: float) -> list[float]:
        """Fill the replicas that hold the model. Returns when the next batch is due, if it waits for company."""
        while len(served.line):
            is_suspect = served.line.is_next_suspect
            size = 1 if is_suspect else served.size.limit(len(served.line))
            # A full batch, or all that waits: what is sent by ones and twos costs a call each.
            share = min(size, len(served.line)) / size
            free = [one for one in self._holding.holders(served.target) if one.has_room(share, is_suspect=is_suspect)]
            if not free:
                if len(served.line) > size:
                    self._holding.spread(served)
                return []
            due_at = served.line.due_at(size, self._settings.batch_delay_s)
            if due_at is not None and due_at > now:
                return [due_at]
            member = min(free, key=lambda one: one.load)
            batch = served.line.take(size)
            member.begin(served.target.key, len(batch) / size, is_suspect=is_suspect)
            served.in_flight += len(batch) / size
            self._spawn(self._run(member, served, batch, size))
        return []

    def _wake_at(self, due: float | None) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        if due is not None:
            pause_s = max(0.0, due - self._clock())
            self._alarm = asyncio.get_running_loop().call_later(pause_s, self._pump)

    async def _place(self, served: Served) -> None:
        """Have the model in a replica. Where that cannot be, those who wait are told why."""
        if served.is_placing:
            return
        served.is_placing = True
        try:
            await self._holding.hold(served.target)
        except ServiceError as error:
            fail(served.line.take_all(), error)
        except Exception:
            _log.exception("%s cannot be loaded", served.target.name)
            fail(served.line.take_all(), Unavailable(f"{served.target.name} cannot be loaded now; try again"))
        finally:
            served.is_placing = False
        self._pump()

    # -- batches

    async def _run(self, member: Member, served: Served, batch: list[Waiting], size: int) -> None:
        key, is_suspect = served.target.key, batch[0].was_lost
        request = InferRequest(key, batch[0].options, tuple(item.item for item in batch), size)
        try:
            reply = await member.link.infer(request, _INFER_TIMEOUT_S)
        except ReplicaLost as error:
            self._metrics.lost_replica()
            served.line.put_back_lost(batch, str(error))
            await self._fleet.lose(member)
            self._pump()  # also where its loss was seen, and the lines were looked at, before this batch was back
            return
        finally:
            member.end(key, len(batch) / size, self._clock(), is_suspect=is_suspect)
            served.in_flight = max(0.0, served.in_flight - len(batch) / size)
            served.note(self._clock())
        if reply.is_unknown:
            member.memory.remove(key)
            served.line.put_back(batch)
        elif reply.refused:
            fail(batch, FailedPrecondition(served.target.name, f"{served.target.name}: {reply.refused}"))
        else:
            self._tell(served, batch, reply)
        self._pump()

    def _tell(self, served: Served, batch: list[Waiting], reply: InferReply) -> None:
        now = self._clock()
        for item, answer in zip(batch, reply.items, strict=True):
            if not item.answer.done():
                queue_s = max(0.0, now - item.arrived - answer.decode_s - answer.infer_s)
                item.answer.set_result(replace(answer, queue_s=queue_s))
                self._metrics.answered(queue_s, has_error=bool(answer.error))
        first = reply.items[0]
        if reply.speaks_for_batch and first.batch_size:
            self._metrics.computed(first.batch_size, first.infer_s)
        if reply.speaks_for_batch and not batch[0].options.tta:
            served.size.record(first.batch_size, first.infer_s)

    # -- once in a while

    async def _tick(self) -> None:
        while True:
            try:
                await self._holding.keep_pinned()
            except Exception as error:  # must not end the care for all else
                _log.warning("pinned models cannot be looked after now: %s", error)
            try:
                self._scale()
            except Exception:
                _log.exception("replicas cannot be looked after now")
            await asyncio.sleep(_TICK_S)

    def _scale(self) -> None:
        now = self._clock()
        pressures = [(served, served.pressure(now)) for served in self._served]
        replicas = len(self._fleet.members) + self._fleet.starting
        if now >= self._no_room_until and self._scaler.more(now, replicas, sum(batches for _, batches in pressures)):
            self._spawn(self._grow())
        for served, batches in pressures:
            if batches > BUSY * len(self._holding.holders(served.target)) > 0:
                self._holding.spread(served)
        idle = [None if self._holding.must_stay(one) else one.idle_since for one in self._fleet.members]
        for member in [self._fleet.members[place] for place in self._scaler.fewer(now, idle)]:
            self._spawn(self._fleet.shrink(member))

    async def _grow(self) -> None:
        try:
            await (self._fleet.grow() if self._fleet.members or self._fleet.starting else self._fleet.any())
        except ServiceError as error:
            self._no_room_until = self._clock() + _NO_ROOM_PAUSE_S
            _log.warning("no further replica: %s", error)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
