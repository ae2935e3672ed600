"""PredictionService."""

from __future__ import annotations

from dataclasses import dataclass

from learnfleet.server import names
from learnfleet.server.rpc.ports import PredictionResult, Runtime
from learnfleet.server.rpc.violations import Violations
from learnfleet.server.rpc.write_job import duration
from learnfleet.server.text import utf8
from learnfleet.v1 import prediction_service_pb2 as pb

MAX_IMAGE_BYTES = 20 * 1024 * 1024
_DEFAULT_TOP_K = 5


@dataclass(frozen=True)
class PredictionServicer:
    """Calls trained models."""

    runtime: Runtime

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
        found.raise_if_any()
        result = await self.runtime.predict(request.model, request.image)
        return _response(result, request.top_k or _DEFAULT_TOP_K)


def _response(result: PredictionResult, top_k: int) -> pb.PredictResponse:
    order = sorted(range(len(result.classes)), key=lambda index: -result.probabilities[index])
    top = [
        pb.ClassProbability(
            class_name=utf8(result.classes[index]), class_index=index, probability=result.probabilities[index]
        )
        for index in order[:top_k]
    ]
    return pb.PredictResponse(
        prediction=pb.Prediction(
            class_name=utf8(result.classes[order[0]]),
            class_index=order[0],
            probabilities=result.probabilities,
            top=top,
        ),
        model_used=result.model_used,
        timings=pb.Timings(
            queue=duration(result.queue_s), decode=duration(result.decode_s), infer=duration(result.infer_s)
        ),
    )
