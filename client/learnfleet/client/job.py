"""A handle on a job."""

from __future__ import annotations

import time
from collections.abc import Iterator

import grpc

from learnfleet.client.connection import Connection, is_unavailable, pauses
from learnfleet.client.errors import DeadlineExceededError, JobCancelledError, JobFailedError, from_rpc
from learnfleet.client.events import Event
from learnfleet.client.recorder import Recorder
from learnfleet.client.results import JobInfo, JobResult, TrackingRun
from learnfleet.v1 import job_service_pb2 as pb

_POLL_S = 0.5


class Job:
    """A job on the server. Its properties are of the last answer; `refresh` asks anew."""

    def __init__(self, connection: Connection, info: JobInfo) -> None:
        self._connection = connection
        self.info = info

    @property
    def name(self) -> str:
        return self.info.name

    @property
    def learner(self) -> str:
        return self.info.learner

    @property
    def state(self) -> str:
        return self.info.state

    @property
    def attempt(self) -> int:
        return self.info.attempt

    @property
    def tracking_run(self) -> TrackingRun | None:
        return self.info.tracking_run

    @property
    def result(self) -> JobResult:
        """Raises AttributeError until the job has succeeded (`wait` for it)."""
        if self.info.result is None:
            raise AttributeError(f"{self.name} is {self.state}: it has no result")
        return self.info.result

    def refresh(self) -> Job:
        """Ask how it stands. Raises NotFoundError."""
        message = self._connection.call(self._connection.jobs.GetJob, pb.GetJobRequest(name=self.name))
        self.info = JobInfo.from_proto(message)
        return self

    def cancel(self) -> Job:
        """Stop it; the learner stays as it was before. Raises FailedPreconditionError if it has ended."""
        message = self._connection.call(self._connection.jobs.CancelJob, pb.CancelJobRequest(name=self.name))
        self.info = JobInfo.from_proto(message)
        return self

    def watch(self, after_sequence: int = 0) -> Iterator[Event]:
        """Its events after number `after_sequence`, those of the past first, to the last of a job that has ended.

        A dropped connection or a restarted server is waited for, as long as the client's `retry_s`, and the events go
        on without loss or repeat. Raises UnavailableError after that, and NotFoundError.
        """
        last, pause, lost_at = after_sequence, pauses(), 0.0
        while True:
            request = pb.WatchJobRequest(name=self.name, after_sequence=last)
            try:
                for answer in self._connection.stream(self._connection.jobs.WatchJob, request):
                    pause, lost_at = pauses(), 0.0
                    for message in answer.events:
                        last = message.sequence
                        yield Event.from_proto(message)
                return
            except grpc.RpcError as error:
                lost_at = lost_at or time.monotonic()
                if not is_unavailable(error) or time.monotonic() - lost_at > self._connection.retry_s:
                    raise from_rpc(error) from None
            time.sleep(next(pause))

    def recorder(self) -> Recorder:
        """Its epoch table and what can be plotted of it, from its events. Blocks until it has ended. As `watch`."""
        recorder = Recorder()
        for event in self.watch():
            recorder.take(event)
        return recorder

    def wait(self, timeout: float | None = None) -> Job:
        """Until it has ended (seconds; None: as long as it takes).

        Raises JobFailedError, JobCancelledError, DeadlineExceededError.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        last = 0
        while not self.refresh().info.is_final:
            if deadline is not None and time.monotonic() > deadline:
                raise DeadlineExceededError(f"{self.name} is still {self.state} after {timeout} s")
            last = self._wait_for_end(last, deadline)
        return self.check()

    def _wait_for_end(self, after: int, deadline: float | None) -> int:
        if deadline is not None:
            time.sleep(_POLL_S)
            return after
        for event in self.watch(after):
            after = event.sequence
        return after

    def check(self) -> Job:
        """Raises JobFailedError or JobCancelledError if it ended so."""
        if self.state == "FAILED":
            raise JobFailedError(self.info)
        if self.state == "CANCELLED":
            raise JobCancelledError(self.info)
        return self

    def wait_tracked(self, timeout: float = 60.0) -> TrackingRun:
        """Until MLflow has heard of it. Raises DeadlineExceededError."""
        deadline = time.monotonic() + timeout
        while self.refresh().tracking_run is None:
            if time.monotonic() > deadline:
                raise DeadlineExceededError(f"{self.name} is not in MLflow after {timeout} s; see the server's log")
            time.sleep(_POLL_S)
        assert self.tracking_run is not None
        return self.tracking_run

    def __repr__(self) -> str:
        return f"Job({self.name}, {self.info.kind}, {self.state})"
