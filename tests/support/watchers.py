"""Many watchers at once, and what is found wrong with what they were given."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass, field

import grpc

from learnfleet.v1 import job_pb2, job_service_pb2, job_service_pb2_grpc

_STREAMS_A_CHANNEL = 100
_MOST_FAULTS = 20


@dataclass
class Checker:
    """Whether one watcher is given every event of a job once, in order and unchanged."""

    job: str
    last: int = 0
    faults: list[str] = field(default_factory=list)

    def take(self, event: job_pb2.Event) -> None:
        number = event.sequence
        if number != self.last + 1:
            self._fault(f"{number} came after {self.last}")
        if event.HasField("log") and event.log.message != text_of(self.job, number):
            self._fault(f"{number} says '{event.log.message[:80]}'")
        self.last = number

    def end(self, total: int) -> None:
        """After the watch has ended: whether the last one came."""
        if self.last != total:
            self._fault(f"the watch ended with {self.last}, the job with {total}")

    def _fault(self, what: str) -> None:
        if len(self.faults) < _MOST_FAULTS:
            self.faults.append(f"{self.job}: {what}")


def text_of(job: str, sequence: int) -> str:
    """What a written event says, so that one that is taken for another is found out."""
    return f"{job} has come to step {sequence}"


@dataclass(frozen=True)
class Crowd:
    """How many watch, and how."""

    watchers: int
    reconnecting: float = 0.0  # the share that break off again and again, and go on where they were
    silent: int = 0  # further ones, which never read
    after: int = 0  # where they begin
    channels: int | None = None  # default: as many as their streams need
    seed: int = 0

    def channels_needed(self) -> int:
        return self.channels or -(-(self.watchers + self.silent) // _STREAMS_A_CHANNEL)


async def watch_all(address: str, jobs: dict[str, int], crowd: Crowd) -> list[str]:
    """Watch the jobs (number of the last event by name), each watcher one, to their ends; what was found wrong."""
    options = [("grpc.use_local_subchannel_pool", 1)]  # else all channels share one connection
    channels = [grpc.aio.insecure_channel(address, options) for _ in range(crowd.channels_needed())]
    stubs = [job_service_pb2_grpc.JobServiceStub(channel) for channel in channels]
    names = list(jobs)
    silent = [_open(stubs[n % len(stubs)], names[n % len(names)], crowd.after) for n in range(crowd.silent)]
    checkers = [Checker(names[n % len(names)], crowd.after) for n in range(crowd.watchers)]
    try:
        async with asyncio.TaskGroup() as group:
            for number, checker in enumerate(checkers):
                breaks_off = number < crowd.reconnecting * crowd.watchers
                chance = random.Random(crowd.seed + number) if breaks_off else None
                group.create_task(_watch(stubs[number % len(stubs)], checker, jobs[checker.job], chance))
    finally:
        for call in silent:
            call.cancel()
        for channel in channels:
            await channel.close()
    return [fault for checker in checkers for fault in checker.faults]


def _open(
    stub: job_service_pb2_grpc.JobServiceStub, job: str, after: int
) -> grpc.aio.UnaryStreamCall[job_service_pb2.WatchJobRequest, job_service_pb2.WatchJobResponse]:
    return stub.WatchJob(job_service_pb2.WatchJobRequest(name=job, after_sequence=after))


async def _watch(
    stub: job_service_pb2_grpc.JobServiceStub, checker: Checker, total: int, chance: random.Random | None
) -> None:
    while True:
        call = _open(stub, checker.job, checker.last)
        leave_after = chance.randint(1, max(2, total // 4)) if chance else None
        if await _read(call, checker, leave_after):
            checker.end(total)
            return
        call.cancel()


async def _read(
    call: grpc.aio.UnaryStreamCall[job_service_pb2.WatchJobRequest, job_service_pb2.WatchJobResponse],
    checker: Checker,
    leave_after: int | None,
) -> bool:
    """Whether it was read to its end; left in the middle of a message, what came with it is not taken."""
    taken = 0
    async for answer in call:
        for event in answer.events:
            checker.take(event)
            taken += 1
            if taken == leave_after:
                return False
    return True


def faults_text(faults: Sequence[str]) -> str:
    return "\n".join(faults[:_MOST_FAULTS])
