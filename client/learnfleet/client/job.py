"""A handle on a job."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import grpc

from learnfleet.client.connection import Connection
from learnfleet.client.detached import detaching
from learnfleet.client.errors import DeadlineExceededError, JobCancelledError, JobFailedError
from learnfleet.client.events import DataRead, Event
from learnfleet.client.live import follow
from learnfleet.client.log_lines import LogEntry
from learnfleet.client.recorder import Recorder
from learnfleet.client.results import JobInfo, JobResult, TrackingRun
from learnfleet.client.watching import ReadingLog, Resumed, Watching
from learnfleet.v1 import job_service_pb2 as pb

_POLL_S = 0.5

T = TypeVar("T")


class JobFacts:
    """What the last answer said of a job."""

    def __init__(self, info: JobInfo) -> None:
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

    def raise_if_it_ended_badly(self) -> None:
        """Raises JobFailedError or JobCancelledError if it ended so."""
        if self.state == "FAILED":
            raise JobFailedError(self.info)
        if self.state == "CANCELLED":
            raise JobCancelledError(self.info)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name}, {self.info.kind}, {self.state})"

    def _repr_html_(self) -> str:
        return self.info._repr_html_()


class Job(JobFacts):
    """A job on the server. Its properties are of the last answer; `refresh` asks anew."""

    def __init__(self, connection: Connection, info: JobInfo) -> None:
        super().__init__(info)
        self._connection = connection

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

    def pause(self) -> Job:
        """Have it save its state at the next batch and wait; it holds nothing but its place.

        Training goes on from that state after `resume`, to the same result as without a pause; jobs of other kinds
        start anew. Raises FailedPreconditionError if it has ended or is being cancelled.
        """
        message = self._connection.call(self._connection.jobs.PauseJob, pb.PauseJobRequest(name=self.name))
        self.info = JobInfo.from_proto(message)
        return self

    def resume(self) -> Job:
        """Queue it again; one that is not paused goes on as it is. Raises as `pause`."""
        message = self._connection.call(self._connection.jobs.ResumeJob, pb.ResumeJobRequest(name=self.name))
        self.info = JobInfo.from_proto(message)
        return self

    def delete(self) -> None:
        """Forget it, its events, log, pictures and results, and its checkpoints that nothing else needs.

        The learner stays as it is, and so does the run in MLflow. Raises FailedPreconditionError until it has ended.
        """
        self._connection.call(self._connection.jobs.DeleteJob, pb.DeleteJobRequest(name=self.name))

    def logs(self, follow: bool = False, min_severity: str = "info", after: str = "") -> Iterator[LogEntry]:
        """What its workers and the server have logged of it, in the order it came in.

        Args:
            follow: go on until the job has ended, through dropped connections as `watch`.
            min_severity: "info", "warning" or "error".
            after: only entries after the one with this `position`.
        """
        reading = ReadingLog(self.name, after, min_severity, self._connection.retry_s, follow=follow)
        yield from self._through_drops(self._connection.jobs.GetJobLogs, reading)

    def watch(self, after_sequence: int = 0) -> Iterator[Event]:
        """Its events after number `after_sequence`, those of the past first, to the last of a job that has ended.

        A dropped connection or a restarted server is waited for, as long as the client's `retry_s`, and the events go
        on without loss or repeat. Raises UnavailableError after that, and NotFoundError.
        """
        watching = Watching(self.name, after_sequence, self._connection.retry_s)
        yield from self._through_drops(self._connection.jobs.WatchJob, watching)

    def _through_drops(self, rpc: Callable[..., Any], reading: Resumed[T]) -> Iterator[T]:
        while True:
            try:
                for answer in self._connection.stream(rpc, reading.request()):
                    yield from reading.take(answer)
                return
            except grpc.RpcError as error:
                pause_s = reading.pause_after(error)
            time.sleep(pause_s)

    def follow(self, after_sequence: int = 0, *, silent: bool = False) -> Recorder:
        """Show it live to its end: a table that grows in a terminal or notebook. `silent`: show nothing.

        Ctrl-C detaches (raises Detached): the job goes on, and `follow` shows it again.

        Raises JobFailedError, JobCancelledError; UnavailableError and NotFoundError as `watch`.
        """
        recorder = Recorder()
        events = self.watch(after_sequence)
        with detaching(self.name):
            for event in events if silent else follow(events):
                recorder.take(event)
            self.refresh()
        self.check()
        return recorder

    def recorder(self) -> Recorder:
        """Its epoch table and what can be plotted of it, from its events. Blocks until it has ended. As `watch`."""
        recorder = Recorder()
        for event in self.watch():
            recorder.take(event)
        return recorder

    def data_read(self) -> DataRead:
        """What it has read: classes and counts. Blocks until it has. Raises ValueError if it ended without."""
        for event in self.watch():
            if isinstance(event.payload, DataRead):
                return event.payload
        raise ValueError(f"{self.name} has not read its data: {self.refresh().info.state_reason}")

    def wait(self, timeout: float | None = None) -> Job:
        """Until it has ended (seconds; None: as long as it takes). Ctrl-C detaches, as of `follow`.

        Raises JobFailedError, JobCancelledError, DeadlineExceededError.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        last = 0
        with detaching(self.name):
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
        self.raise_if_it_ended_badly()
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
