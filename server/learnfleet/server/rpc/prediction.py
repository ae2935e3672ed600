"""PredictionService."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass

from learnfleet.server import names
from learnfleet.server.config import Config
from learnfleet.server.domain import JobKind, JobState
from learnfleet.server.errors import FailedPrecondition, InvalidArgument
from learnfleet.server.inference.ports import Inference, Input
from learnfleet.server.rpc import deadlines, read_preds
from learnfleet.server.rpc.examining import Examining
from learnfleet.server.rpc.owners import Owners
from learnfleet.server.rpc.prediction_batch import MAX_INPUTS, BatchPrediction
from learnfleet.server.rpc.prediction_stream import PredictionStream, first_of
from learnfleet.server.rpc.read_asked import read_asked
from learnfleet.server.rpc.read_input import read_input
from learnfleet.server.rpc.read_preds_work import read_preds_work
from learnfleet.server.rpc.server_files import ServerFiles
from learnfleet.server.rpc.violations import Violations
from learnfleet.server.rpc.write_prediction import error_of, prediction_to_proto, timings_to_proto
from learnfleet.server.store.base import Store
from learnfleet.server.workers.run import PREDICTIONS_DIR
from learnfleet.v1 import job_pb2
from learnfleet.v1 import prediction_service_pb2 as pb


@dataclass(frozen=True)
class PredictionServicer:
    """Calls trained models."""

    config: Config
    store: Store
    inference: Inference
    examining: Examining
    files: ServerFiles
    owners: Owners

    async def predict(self, request: pb.PredictRequest) -> pb.PredictResponse:
        found = Violations()
        asked = read_asked(request, found)
        item = await self._item(request, found)
        found.raise_if_any()
        assert item is not None
        reply = await self.inference.infer(asked.model, [item], asked.options, deadlines.remaining_s())
        answered = reply.items[0]
        if answered.error:
            raise error_of(answered, item)
        return pb.PredictResponse(
            prediction=prediction_to_proto(answered, reply.model, asked.top_k),
            model_used=reply.model.name,
            timings=timings_to_proto(answered),
        )

    async def _item(self, request: pb.PredictRequest, found: Violations) -> Input | None:
        try:
            return await read_input(request, self.files)
        except InvalidArgument as error:
            found.take(error)
            return None

    async def predict_batch(self, request: pb.PredictBatchRequest) -> pb.PredictBatchResponse:
        found = Violations()
        asked = read_asked(request, found)
        if found.check(len(request.inputs) > 0, "inputs", "is empty; give at least one picture"):
            many = f"has {len(request.inputs)} items; must have at most {MAX_INPUTS}: PredictStream takes any number"
            found.check(len(request.inputs) <= MAX_INPUTS, "inputs", many)
        found.raise_if_any()
        batch = BatchPrediction(self.inference, self.files)
        return pb.PredictBatchResponse(results=await batch.predict(request.inputs, asked))

    async def predict_stream(
        self, requests: AsyncGenerator[pb.PredictStreamRequest, None]
    ) -> AsyncGenerator[pb.PredictStreamResponse, None]:
        settings = await first_of(requests)
        found = Violations()
        asked = read_asked(settings, found, "settings.")
        found.raise_if_any()
        await self.owners.check(settings)  # of a stream's messages nobody else does
        await self.inference.describe(asked.model)
        async with aclosing(PredictionStream(self.inference, self.files, asked).answers(requests)) as answers:
            async for answer in answers:
                yield answer

    async def get_preds(self, request: pb.GetPredsRequest) -> job_pb2.Job:
        found = Violations()
        work = read_preds_work(request, found)
        subject = await self.examining.subject(request, found)
        return await self.examining.put(request, subject, JobKind.GET_PREDS, work, found)

    async def read_predictions(
        self, request: pb.ReadPredictionsRequest
    ) -> AsyncGenerator[pb.ReadPredictionsResponse, None]:
        found = Violations()
        job_id = found.attempt(lambda: names.parse_job(request.job, "job"))
        for field in ("first_row", "rows"):
            value = getattr(request, field)
            found.check(value >= 0, field, f"is {value}; must be 0 or greater")
        found.raise_if_any()
        assert job_id is not None
        job = await asyncio.to_thread(self.store.get_job, job_id)
        if job.kind is not JobKind.GET_PREDS:
            raise FailedPrecondition(
                request.job, f"{request.job} is a {job.kind.name} job; only GET_PREDS jobs predict"
            )
        if job.state is not JobState.SUCCEEDED:
            why = job.reason or "wait until it is done"
            raise FailedPrecondition(request.job, f"{request.job} is {job.state.name}: {why}")
        path = self.config.job_dir(job.learner_id, job.id) / PREDICTIONS_DIR / read_preds.FILE
        messages = read_preds.PredictionFile(path).messages(request.first_row, request.rows)
        while (message := await asyncio.to_thread(next, messages, None)) is not None:
            yield message
