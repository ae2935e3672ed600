"""Where the reading of a stream stands, so that it goes on after a lost connection without loss or repeat."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar

import grpc

from learnfleet.client.errors import from_rpc
from learnfleet.client.events import Event
from learnfleet.client.log_lines import LogEntry, severity_number
from learnfleet.client.patience import may_pass, pauses
from learnfleet.v1 import job_service_pb2 as pb

T = TypeVar("T")


class Resumed(ABC, Generic[T]):
    """A stream that is begun again where it broke off: what to ask for, and whether and when to ask again."""

    def __init__(self, retry_s: float, clock_s: Callable[[], float] = time.monotonic) -> None:
        """`retry_s`: how long a server that cannot be reached is tried again."""
        self._retry_s, self._clock_s = retry_s, clock_s
        self._pauses = pauses()
        self._lost_at_s: float | None = None

    @abstractmethod
    def request(self) -> object:
        """For what comes after the last item seen."""

    @abstractmethod
    def items(self, answer: Any) -> Iterator[T]:
        """Of an answer, each noted as the last one seen."""

    def take(self, answer: Any) -> Iterator[T]:
        """The items of an answer."""
        self._pauses, self._lost_at_s = pauses(), None
        return self.items(answer)

    def pause_after(self, error: grpc.RpcError) -> float:
        """Seconds to wait before the stream is begun again. Raises this package's error if it is not to be."""
        now_s = self._clock_s()
        if self._lost_at_s is None:
            self._lost_at_s = now_s
        if not may_pass(error) or now_s - self._lost_at_s > self._retry_s:
            raise from_rpc(error) from None
        return next(self._pauses)


class Watching(Resumed[Event]):
    """The events of a job."""

    def __init__(self, job: str, after_sequence: int, retry_s: float) -> None:
        super().__init__(retry_s)
        self._job, self._last = job, after_sequence

    def request(self) -> pb.WatchJobRequest:
        return pb.WatchJobRequest(name=self._job, after_sequence=self._last)

    def items(self, answer: pb.WatchJobResponse) -> Iterator[Event]:
        for message in answer.events:
            self._last = message.sequence
            yield Event.from_proto(message)


class ReadingLog(Resumed[LogEntry]):
    """The log of a job. Raises ValueError for a severity that there is not."""

    def __init__(self, job: str, after: str, min_severity: str, retry_s: float, *, follow: bool) -> None:
        super().__init__(retry_s)
        self._job, self._last, self._follow = job, after, follow
        self._severity = severity_number(min_severity)

    def request(self) -> pb.GetJobLogsRequest:
        return pb.GetJobLogsRequest(
            name=self._job, after_position=self._last, min_severity=self._severity, follow=self._follow
        )

    def items(self, answer: pb.GetJobLogsResponse) -> Iterator[LogEntry]:
        for message in answer.entries:
            entry = LogEntry.from_proto(message)
            self._last = entry.position
            yield entry
