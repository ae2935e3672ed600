"""What every part of a remote learner knows: its server, and the jobs it has had."""

from __future__ import annotations

from learnfleet.client.connection import Connection
from learnfleet.client.dataset_types import DatasetType
from learnfleet.client.job import Job
from learnfleet.client.recorder import Recorder
from learnfleet.client.results import JobInfo
from learnfleet.client.run_settings import KeepBest as KeepBest
from learnfleet.client.run_settings import RunSettings as RunSettings
from learnfleet.client.specs import LearnerSpec
from learnfleet.client.subject import Subject
from learnfleet.v1 import job_pb2


class Remote(Subject):
    """A learner on a server.

    Attributes beside those of `Subject`:
        recorder: of the last fit or search.
        last_job, last_fit_job: the last of its jobs that were begun here.
    """

    recorder: Recorder
    last_job: Job | None
    last_fit_job: Job | None

    def __init__(
        self,
        connection: Connection,
        name: str,
        spec: LearnerSpec | None,
        settings: RunSettings = RunSettings(),  # noqa: B008
    ) -> None:
        super().__init__(name, spec, settings)
        self.connection, self.recorder = connection, Recorder()
        self.last_job = self.last_fit_job = None

    def come_to_be(self) -> None:
        """Make the learner on the server, where there is none yet, by having its data looked at."""
        if self.spec is not None:
            service = self.connection.interpretation
            queued = self.connection.call(service.ShowBatch, self.show_batch_request(1, DatasetType.Train))
            self.exists_as(queued.learner)
            self.begun(queued).wait()

    def begun(self, queued: job_pb2.Job) -> Job:
        """The handle of a job that was accepted."""
        self.last_job = Job(self.connection, JobInfo.from_proto(queued))
        if self.data is not None:
            self.data.is_read_by(self.last_job)
        return self.last_job

    def done(self, queued: job_pb2.Job, timeout: float | None) -> Job:
        """That job, once it has ended well. Raises JobFailedError, JobCancelledError, DeadlineExceededError."""
        return self.begun(queued).wait(timeout)
