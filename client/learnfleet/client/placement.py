"""What a dry run answers."""

from __future__ import annotations

from dataclasses import dataclass

from learnfleet.v1 import job_pb2


@dataclass(frozen=True)
class Placement:
    """Where a job would run if it were queued now, or what it would wait for."""

    nodes: tuple[str, ...]  # of each worker, by rank; empty when it would wait
    gives_up: tuple[str, ...]  # learners whose idle workers would be ended for it
    preempts: tuple[str, ...]  # jobs that would have to give way to it
    waits_for: str  # empty: it would start at once

    @classmethod
    def from_proto(cls, message: job_pb2.Placement) -> Placement:
        nodes = tuple(worker.node for worker in message.workers)
        return cls(nodes, tuple(message.gives_up), tuple(message.preempts), message.waits_for)
