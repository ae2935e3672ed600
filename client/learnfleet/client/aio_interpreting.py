"""What a client can ask of any model, for asyncio. As `Interpreting`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from learnfleet.client.aio_connection import AsyncConnection
from learnfleet.client.aio_job import AsyncJob
from learnfleet.client.asked_of_models import Data, Questions, compare_request, explain_request, preds_request
from learnfleet.client.dataset_types import DatasetType
from learnfleet.client.explanation import Explanation
from learnfleet.client.found import Found
from learnfleet.client.interpretation import Interpretation
from learnfleet.client.interpreting import REPORT
from learnfleet.client.predictions import Predictions
from learnfleet.client.results import JobInfo, LearnerInfo
from learnfleet.client.run_settings import RunSettings
from learnfleet.v1 import interpretation_service_pb2 as pb
from learnfleet.v1 import job_pb2, prediction_service_pb2, training_service_pb2


class AsyncInterpreting:
    """The part of `AsyncClient` that examines models."""

    _connection: AsyncConnection

    async def interpret(
        self,
        model: str,
        data: Data = None,
        ds_type: DatasetType = DatasetType.Valid,
        tta: bool = False,
        top_losses: int = 9,
        min_confused: int = 1,
        parts: Sequence[str] = (),
        slice_columns: Sequence[str] = (),
        metadata: str = "",
        void_class: str = "",
        least_losses: int = 0,
    ) -> Interpretation:
        """Find what a model version or learner gets wrong."""
        asked = Questions(
            ds_type, tta, top_losses, min_confused, data, tuple(parts), tuple(slice_columns), metadata, void_class
        ).more(least_losses, largest=False)
        queued = await self._connection.call(self._connection.interpretation.Interpret, asked.of(model))
        return await self._when_done(queued)

    async def get_preds(
        self,
        model: str,
        data: Data = None,
        ds_type: DatasetType = DatasetType.Valid,
        with_loss: bool = False,
        n_batch: int | None = None,
        tta: bool = False,
        activ: str | None = None,
    ) -> Predictions:
        """[predictions, targets] of a data set in its order, by any model, and losses if asked for."""
        request = preds_request(model, data, ds_type, with_loss, n_batch, tta, activ)
        service = self._connection.prediction
        queued = await self._connection.call(service.GetPreds, request)
        job = await AsyncJob(self._connection, JobInfo.from_proto(queued)).wait()
        wanted = prediction_service_pb2.ReadPredictionsRequest(job=job.name)
        rows = [row async for row in self._connection.read(service.ReadPredictions, wanted)]
        asked = training_service_pb2.GetLearnerRequest(name=queued.learner)
        learner = LearnerInfo.from_proto(await self._connection.call(self._connection.training.GetLearner, asked))
        return Predictions.from_protos(rows, with_loss=with_loss, kind=learner.kind)

    async def compare(
        self,
        baseline: str,
        candidate: str,
        data: Data = None,
        ds_type: DatasetType = DatasetType.Valid,
        examples: int = 24,
        settings: RunSettings = RunSettings(),  # noqa: B008
    ) -> Interpretation:
        """Two models on the same data."""
        request = compare_request(baseline, candidate, data, ds_type, examples, settings)
        return await self._when_done(
            await self._connection.call(self._connection.interpretation.CompareVersions, request)
        )

    async def explain(self, model: str, item: object, method: str = "grad_cam", class_name: str = "") -> Explanation:
        """Where in one picture the score of a class comes from."""
        request = explain_request(model, item, method, class_name)
        service = self._connection.interpretation
        return Explanation.from_proto(await self._connection.call(service.ExplainPrediction, request))

    async def interpretation(self, name: str) -> Interpretation:
        """One that is done, by `interpretations/{interpretation}`. Its files: `interpretation_file`."""
        request = pb.GetInterpretationRequest(name=name)
        service = self._connection.interpretation
        return Interpretation.from_proto(await self._connection.call(service.GetInterpretation, request))

    async def interpretations(self, learner: str = "") -> AsyncIterator[Found]:
        """Those that are done, newest first, without their parts."""
        token = ""
        while True:
            request = pb.ListInterpretationsRequest(page_token=token, learner=learner)
            page = await self._connection.call(self._connection.interpretation.ListInterpretations, request)
            for message in page.interpretations:
                yield Found.from_proto(message)
            token = page.next_page_token
            if not token:
                return

    async def interpretation_file(self, name: str, file: str = REPORT) -> bytes:
        """A file of an interpretation: its report, or a picture that an item names."""
        request = pb.ReadInterpretationFileRequest(name=name, file=file)
        chunks = self._connection.read(self._connection.interpretation.ReadInterpretationFile, request)
        return b"".join([chunk.content async for chunk in chunks])

    async def _when_done(self, queued: job_pb2.Job) -> Interpretation:
        job = await AsyncJob(self._connection, JobInfo.from_proto(queued)).wait()
        return await self.interpretation(job.result.interpretation)
