"""A handle on a job, for asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any, TypeVar

import grpc

from learnfleet.client.aio_connection import AsyncConnection
from learnfleet.client.errors import DeadlineExceededError
from learnfleet.client.events import Event
from learnfleet.client.job import JobFacts
from learnfleet.client.log_lines import LogEntry
from learnfleet.client.recorder import Recorder
from learnfleet.client.results import JobInfo
from learnfleet.client.watching import ReadingLog, Resumed, Watching
from learnfleet.v1 import job_service_pb2 as pb

T = TypeVar("T")


class AsyncJob(JobFacts):
    """A job on the server. Its properties are of the last answer; `refresh` asks anew."""

    def __init__(self, connection: AsyncConnection, info: JobInfo) -> None:
        super().__init__(info)
        self._connection = connection

    async def refresh(self) -> AsyncJob:
        """Ask how it stands. Raises NotFoundError."""
        message = await self._connection.call(self._connection.jobs.GetJob, pb.GetJobRequest(name=self.name))
        self.info = JobInfo.from_proto(message)
        return self

    async def cancel(self) -> AsyncJob:
        """Stop it; the learner stays as it was before. Raises FailedPreconditionError if it has ended."""
        message = await self._connection.call(self._connection.jobs.CancelJob, pb.CancelJobRequest(name=self.name))
        self.info = JobInfo.from_proto(message)
        return self

    async def pause(self) -> AsyncJob:
        """Have it save its state at the next batch and wait. As `Job.pause`."""
        message = await self._connection.call(self._connection.jobs.PauseJob, pb.PauseJobRequest(name=self.name))
        self.info = JobInfo.from_proto(message)
        return self

    async def resume(self) -> AsyncJob:
        """Queue it again. As `Job.resume`."""
        message = await self._connection.call(self._connection.jobs.ResumeJob, pb.ResumeJobRequest(name=self.name))
        self.info = JobInfo.from_proto(message)
        return self

    async def delete(self) -> None:
        """Forget it. As `Job.delete`."""
        await self._connection.call(self._connection.jobs.DeleteJob, pb.DeleteJobRequest(name=self.name))

    async def logs(self, follow: bool = False, min_severity: str = "info", after: str = "") -> AsyncIterator[LogEntry]:
        """What its workers and the server have logged of it. As `Job.logs`."""
        reading = ReadingLog(self.name, after, min_severity, self._connection.retry_s, follow=follow)
        async for entry in self._through_drops(self._connection.jobs.GetJobLogs, reading):
            yield entry

    async def watch(self, after_sequence: int = 0) -> AsyncIterator[Event]:
        """Its events, as of `Job.watch`: `async for event in job.watch()`."""
        watching = Watching(self.name, after_sequence, self._connection.retry_s)
        async for event in self._through_drops(self._connection.jobs.WatchJob, watching):
            yield event

    async def _through_drops(self, rpc: Callable[..., Any], reading: Resumed[T]) -> AsyncIterator[T]:
        while True:
            try:
                async for answer in self._connection.stream(rpc, reading.request()):
                    for item in reading.take(answer):
                        yield item
                return
            except grpc.RpcError as error:
                pause_s = reading.pause_after(error)
            await asyncio.sleep(pause_s)

    async def recorder(self) -> Recorder:
        """Its epoch table and what can be plotted of it. Waits for its end. As `watch`."""
        recorder = Recorder()
        async for event in self.watch():
            recorder.take(event)
        return recorder

    async def wait(self, timeout: float | None = None) -> AsyncJob:  # noqa: ASYNC109  # the plain client's name
        """Until it has ended (seconds; None: as long as it takes). A task that is cancelled leaves the job running.

        Raises JobFailedError, JobCancelledError, DeadlineExceededError.
        """
        try:
            async with asyncio.timeout(timeout):
                await self._wait()
        except TimeoutError:
            raise DeadlineExceededError(f"{self.name} is still {self.state} after {timeout} s") from None
        self.raise_if_it_ended_badly()
        return self

    async def _wait(self) -> None:
        last = 0
        while not (await self.refresh()).info.is_final:
            async for event in self.watch(last):
                last = event.sequence
