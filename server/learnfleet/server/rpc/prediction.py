"""PredictionService."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass

from learnfleet.server import names
from learnfleet.server.config import Config
from learnfleet.server.domain import JobKind, JobState, PredsWork
from learnfleet.server.errors import FailedPrecondition
from learnfleet.server.rpc import read_preds
from learnfleet.server.rpc.ports import PredictionResult, PredictOptions, Runtime
from learnfleet.server.rpc.queueing import Queueing
from learnfleet.server.rpc.read_job import read_dataset
from learnfleet.server.rpc.violations import Violations
from learnfleet.server.rpc.write_data import label_kind_to_proto
from learnfleet.server.rpc.write_job import duration
from learnfleet.server.store.base import Store
from learnfleet.server.text import utf8
from learnfleet.server.workers.run import PREDICTIONS_DIR
from learnfleet.trainer.data_spec import LabelKind
from learnfleet.v1 import job_pb2
from learnfleet.v1 import prediction_service_pb2 as pb

MAX_IMAGE_BYTES = 20 * 1024 * 1024
_DEFAULT_TOP_K = 5
_DEFAULT_BETA, _DEFAULT_SCALE, _MAX_SCALE = 0.4, 1.35, 4.0


@dataclass(frozen=True)
class PredictionServicer:
    """Calls trained models."""

    config: Config
    store: Store
    runtime: Runtime
    queueing: Queueing

    async def predict(self, request: pb.PredictRequest) -> pb.PredictResponse:
        found = Violations()
        is_learner = request.model.startswith("learners/")
        parse = names.parse_learner if is_learner else names.parse_model
        found.attempt(lambda: parse(request.model, "model"))
        size = len(request.image)
        found.check(size > 0, "image", "is empty; must be the bytes of a picture file")
        right = f"has {size} bytes; must have at most {MAX_IMAGE_BYTES}: scale the picture down"
        found.check(size <= MAX_IMAGE_BYTES, "image", right)
        found.check(request.top_k >= 0, "top_k", f"is {request.top_k}; must be 0 (the default) or greater")
        thresh = request.thresh if request.HasField("thresh") else None
        if thresh is not None:
            found.number("thresh", thresh, 0, 1)
        found.raise_if_any()
        options = PredictOptions(thresh, request.tta)
        result = await self.runtime.predict(request.model, request.image, options)
        return _response(result, request.top_k or _DEFAULT_TOP_K)

    async def get_preds(self, request: pb.GetPredsRequest) -> job_pb2.Job:
        found = Violations()
        beta = scale = None
        if request.HasField("tta"):
            beta = request.tta.beta if request.tta.HasField("beta") else _DEFAULT_BETA
            found.number("tta.beta", beta, 0, 1)
            scale = request.tta.scale if request.tta.HasField("scale") else _DEFAULT_SCALE
            found.number("tta.scale", scale, 1, _MAX_SCALE)
            found.check(request.n_batch == 0, "n_batch", "cannot be limited under tta; leave it 0")
        found.number("n_batch", request.n_batch, 0, 2**31 - 1)
        work = PredsWork(
            read_dataset(request.dataset, "valid", found),
            request.with_loss,
            request.n_batch or None,
            beta,
            scale or _DEFAULT_SCALE,
        )
        return await self.queueing.examine(request, found, JobKind.GET_PREDS, work)

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


def _response(result: PredictionResult, top_k: int) -> pb.PredictResponse:
    order = sorted(range(len(result.probabilities)), key=lambda index: -result.probabilities[index])
    top = [
        pb.ClassProbability(
            class_name=utf8(result.classes[index]), class_index=index, probability=result.probabilities[index]
        )
        for index in order[:top_k]
    ]
    return pb.PredictResponse(
        prediction=pb.Prediction(
            class_name=_name(result, order),
            class_index=order[0] if result.kind is LabelKind.CATEGORY else -1,
            probabilities=result.probabilities,
            top=top,
            kind=label_kind_to_proto(result.kind),
            labels=[utf8(label) for label in result.labels],
            values=result.values,
            mask=result.mask_png,
            picture=result.picture_png,
        ),
        model_used=result.model_used,
        timings=pb.Timings(
            queue=duration(result.queue_s), decode=duration(result.decode_s), infer=duration(result.infer_s)
        ),
    )


def _name(result: PredictionResult, order: list[int]) -> str:
    if result.kind is LabelKind.CATEGORY:
        return utf8(result.classes[order[0]])
    return utf8(";".join(result.labels))
