"""The way in: `Client.connect`."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import TYPE_CHECKING

from learnfleet.client.connection import Connection
from learnfleet.client.job import Job
from learnfleet.client.learner import Item, RemoteLearner, predict
from learnfleet.client.learner_options import LearnerMaker
from learnfleet.client.listing import jobs_request, learners_request
from learnfleet.client.results import JobInfo, LearnerInfo, Prediction
from learnfleet.client.run_settings import RunSettings
from learnfleet.client.specs import LearnerSpec
from learnfleet.v1 import job_service_pb2

if TYPE_CHECKING:
    from learnfleet.client.datasets import Datasets

DEFAULT_ADDRESS = "127.0.0.1:8470"
ADDRESS_VARIABLE = "LEARNFLEET_ADDRESS"


class Client(LearnerMaker[RemoteLearner]):
    """A connection to a control server. Usable as a context manager; safe to share between threads."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @classmethod
    def connect(cls, address: str | None = None, timeout_s: float = 60.0, retry_s: float = 60.0) -> Client:
        """A client of the server at `address` (host:port). The connection is made with the first call.

        Args:
            address: default: the variable LEARNFLEET_ADDRESS, else 127.0.0.1:8470.
            timeout_s: limit of each call.
            retry_s: how long a server that cannot be reached is tried again.
        """
        return cls(Connection(address or os.environ.get(ADDRESS_VARIABLE, DEFAULT_ADDRESS), timeout_s, retry_s))

    @property
    def datasets(self) -> Datasets:
        """Data sets on the server: `upload`, `register`, `get`, `list`, `delete`."""
        from learnfleet.client.datasets import Datasets  # with it come tarfile and hashlib

        return Datasets(self._connection)

    def close(self) -> None:
        self._connection.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def learner(self, name: str, settings: RunSettings = RunSettings()) -> RemoteLearner:  # noqa: B008
        """An existing learner, by `learners/{learner}`. Raises NotFoundError."""
        learner = RemoteLearner(self._connection, name, None, settings)
        learner.info()
        return learner

    def new_learner(self, spec: LearnerSpec, name: str, settings: RunSettings) -> RemoteLearner:
        """A learner of a specification made elsewhere. It comes to be on the server with its first job."""
        return RemoteLearner(self._connection, f"learners/{name}" if name else "", spec, settings)

    def learners(self) -> Iterator[LearnerInfo]:
        """All learners, newest first."""
        token = ""
        while True:
            page = self._connection.call(self._connection.training.ListLearners, learners_request(token))
            yield from map(LearnerInfo.from_proto, page.learners)
            token = page.next_page_token
            if not token:
                return

    def job(self, name: str) -> Job:
        """A job, by `jobs/{job}`. Raises NotFoundError."""
        message = self._connection.call(self._connection.jobs.GetJob, job_service_pb2.GetJobRequest(name=name))
        return Job(self._connection, JobInfo.from_proto(message))

    def jobs(self, learner: str = "", states: Sequence[str] = ()) -> Iterator[Job]:
        """Jobs, newest first; only those of `learner` and in `states` (such as "RUNNING") where given."""
        token = ""
        while True:
            page = self._connection.call(self._connection.jobs.ListJobs, jobs_request(token, learner, states))
            for message in page.jobs:
                yield Job(self._connection, JobInfo.from_proto(message))
            token = page.next_page_token
            if not token:
                return

    def predict(
        self,
        model: str,
        item: Item,
        top_k: int = 0,
        thresh: float | None = None,
        tta: bool = False,
    ) -> Prediction:
        """Ask `models/m/versions/v`, `models/m@alias` or `learners/l` about one picture file, or about its bytes.

        Args:
            thresh: of several labels, those at least so probable are predicted.
            tta: average over zoomed and mirrored variants.
        """
        return predict(self._connection, model, item, top_k, thresh, tta)
