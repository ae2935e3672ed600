"""Workers that do what a test tells them to, and the pool that lends them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Event

from learnfleet.server.domain import Json
from learnfleet.server.workers.protocol import Phase, RunRequest, WorkerDied, WorkerEvent, WorkerStatus

_PID = 1
_HANGS_FOR_S = 60.0


@dataclass
class FakeGroup:
    """A GroupHandle of one worker, which runs until it is told otherwise."""

    generation: int = 1
    world_size: int = 1
    started: Event = field(default_factory=Event)
    stop_heard: Event = field(default_factory=Event)
    killed: Event = field(default_factory=Event)
    stacks_asked: Event = field(default_factory=Event)
    outcome: Json | None = None
    events: list[WorkerEvent] = field(default_factory=list)
    acknowledged: list[tuple[int, ...]] = field(default_factory=list)  # of each poll

    # test controls

    heeds_stop: bool = False
    hangs_when_polled: bool = False
    on_start: Callable[[RunRequest], None] = lambda _: None

    # as GroupHandle says

    def start(self, request: RunRequest) -> None:
        self.on_start(request)
        self.started.set()

    def poll(self, job_id: str, acknowledged: tuple[int, ...]) -> tuple[WorkerStatus, ...]:
        if self.hangs_when_polled:
            self.killed.wait(_HANGS_FOR_S)
        if self.killed.is_set():
            raise WorkerDied("the workers were ended")
        self.acknowledged.append(acknowledged)
        phase = Phase.RUNNING if self.outcome is None else Phase.DONE
        return (WorkerStatus(phase, _PID, acknowledged[0], tuple(self.events[acknowledged[0] :]), self.outcome),)

    def stop(self, job_id: str) -> None:
        self.stop_heard.set()
        if self.heeds_stop:
            self.outcome = {"stopped": True}

    def write_stacks(self, job_id: str) -> None:
        self.stacks_asked.set()

    def kill(self) -> None:
        self.killed.set()


@dataclass
class FakePool:
    """What a job controller asks of a GroupPool."""

    group: FakeGroup = field(default_factory=FakeGroup)
    placed: Event = field(default_factory=Event)  # there is room for the workers
    asked: Event = field(default_factory=Event)

    def obtain(self, learner_id: str) -> FakeGroup:
        self.asked.set()
        self.placed.wait(_HANGS_FOR_S)
        return self.group

    def discard_workers(self, learner_id: str) -> None:
        self.group.kill()
