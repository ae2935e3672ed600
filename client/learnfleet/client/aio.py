"""The client for asyncio: the same calls, awaited. Its requests are made as those of the plain client are.

async with AsyncClient.connect() as client:
    learn = client.cnn_learner(data, models.resnet18, metrics=accuracy)
    job = await learn.fit_one_cycle(2)
    async for event in job.watch(): ...
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterable, Sequence
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from learnfleet.client.aio_connection import AsyncConnection
from learnfleet.client.aio_interpreting import AsyncInterpreting
from learnfleet.client.aio_job import AsyncJob as AsyncJob
from learnfleet.client.aio_learner import AsyncLearner as AsyncLearner
from learnfleet.client.aio_predicting import Items, predict_batch, predict_stream
from learnfleet.client.asking import Ask
from learnfleet.client.client import ADDRESS_VARIABLE, DEFAULT_ADDRESS
from learnfleet.client.connection import MAX_MESSAGE_MB
from learnfleet.client.errors import PictureError
from learnfleet.client.learner_options import LearnerMaker
from learnfleet.client.listing import jobs_request, learners_request
from learnfleet.client.results import JobInfo, LearnerInfo, Prediction
from learnfleet.client.run_settings import RunSettings
from learnfleet.client.security import security_for
from learnfleet.client.specs import LearnerSpec
from learnfleet.v1 import job_service_pb2

if TYPE_CHECKING:
    from learnfleet.client.aio_datasets import AsyncDatasets
    from learnfleet.client.aio_models import AsyncModels


class AsyncClient(LearnerMaker[AsyncLearner], AsyncInterpreting):
    """A connection to a control server, for one event loop. Usable as an asynchronous context manager."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    @classmethod
    def connect(
        cls,
        address: str | None = None,
        timeout_s: float = 60.0,
        retry_s: float = 60.0,
        max_message_mb: int = MAX_MESSAGE_MB,
        ca: str | PathLike[str] | None = None,
        cert: str | PathLike[str] | None = None,
        key: str | PathLike[str] | None = None,
        token: str | Path | None = None,
        plaintext: bool | None = None,
        token_in_clear: bool | None = None,
        tenant: str | None = None,
    ) -> AsyncClient:
        """A client of the server at `address` (host:port). To be called in the event loop. As `Client.connect`."""
        where = address or os.environ.get(ADDRESS_VARIABLE, DEFAULT_ADDRESS)
        security = security_for(where, ca, cert, key, token, plaintext, token_in_clear, tenant)
        return cls(AsyncConnection(where, timeout_s, retry_s, max_message_mb, security))

    @property
    def datasets(self) -> AsyncDatasets:
        """Data sets on the server: `upload`, `register`, `get`, `list`, `delete`."""
        from learnfleet.client.aio_datasets import AsyncDatasets

        return AsyncDatasets(self._connection)

    @property
    def models(self) -> AsyncModels:
        """Model versions on the server: `list`, `get`, `versions`, `version`, `set_alias`, `delete_alias`."""
        from learnfleet.client.aio_models import AsyncModels

        return AsyncModels(self._connection)

    async def close(self) -> None:
        await self._connection.close()

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def new_learner(self, spec: LearnerSpec, name: str, settings: RunSettings) -> AsyncLearner:
        """A learner of a specification made elsewhere. It comes to be on the server with its first job."""
        return AsyncLearner(self._connection, f"learners/{name}" if name else "", spec, settings)

    async def learner(self, name: str, settings: RunSettings = RunSettings()) -> AsyncLearner:  # noqa: B008
        """An existing learner, by `learners/{learner}`. Raises NotFoundError."""
        learner = AsyncLearner(self._connection, name, None, settings)
        await learner.info()
        return learner

    async def learners(self) -> AsyncIterator[LearnerInfo]:
        """All learners, newest first."""
        token = ""
        while True:
            page = await self._connection.call(self._connection.training.ListLearners, learners_request(token))
            for message in page.learners:
                yield LearnerInfo.from_proto(message)
            token = page.next_page_token
            if not token:
                return

    async def job(self, name: str) -> AsyncJob:
        """A job, by `jobs/{job}`. Raises NotFoundError."""
        request = job_service_pb2.GetJobRequest(name=name)
        message = await self._connection.call(self._connection.jobs.GetJob, request)
        return AsyncJob(self._connection, JobInfo.from_proto(message))

    async def jobs(self, learner: str = "", states: Sequence[str] = ()) -> AsyncIterator[AsyncJob]:
        """Jobs, newest first; only those of `learner` and in `states` (such as "RUNNING") where given."""
        token = ""
        while True:
            request = jobs_request(token, learner, states)
            page = await self._connection.call(self._connection.jobs.ListJobs, request)
            for message in page.jobs:
                yield AsyncJob(self._connection, JobInfo.from_proto(message))
            token = page.next_page_token
            if not token:
                return

    async def predict(
        self,
        model: str,
        item: object,
        top_k: int = 0,
        thresh: float | None = None,
        tta: bool = False,
        outputs: Sequence[str] = (),
        dropout_samples: int = 0,
    ) -> Prediction:
        """Ask `models/m/versions/v`, `models/m@alias` or `learners/l` about one picture. As `Client.predict`."""
        request = Ask(model, top_k, thresh, tta, outputs).predict_request(item, dropout_samples)
        return Prediction.from_proto(await self._connection.call(self._connection.prediction.Predict, request))

    async def predict_batch(
        self,
        model: str,
        items: Iterable[object] | str | Path,
        top_k: int = 0,
        thresh: float | None = None,
        tta: bool = False,
        outputs: Sequence[str] = (),
    ) -> list[Prediction | PictureError]:
        """Ask about several pictures, or all of a folder. One that cannot be predicted has its error in its place."""
        return await predict_batch(self._connection, Ask(model, top_k, thresh, tta, outputs), items)

    def predict_stream(
        self,
        model: str,
        items: Items,
        top_k: int = 0,
        thresh: float | None = None,
        tta: bool = False,
        outputs: Sequence[str] = (),
        in_flight: int = 64,
    ) -> AsyncIterator[tuple[object, Prediction | PictureError]]:
        """(picture, answer) of any number of pictures as they are ready. As `Client.predict_stream`.

        `items` may be an asynchronous iterator, too.
        """
        return predict_stream(self._connection, Ask(model, top_k, thresh, tta, outputs), items, in_flight)
