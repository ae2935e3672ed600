"""ExplainPrediction: the request read, the answer written."""

from __future__ import annotations

from learnfleet.server.rpc.ports import ExplainOptions, Runtime
from learnfleet.server.rpc.read_input import MAX_IMAGE_BYTES
from learnfleet.server.rpc.subjects import parse_any
from learnfleet.server.rpc.violations import Violations
from learnfleet.server.text import utf8
from learnfleet.v1 import interpretation_service_pb2 as pb

_METHODS = {
    pb.EXPLANATION_METHOD_UNSPECIFIED: "grad_cam",
    pb.EXPLANATION_METHOD_GRAD_CAM: "grad_cam",
    pb.EXPLANATION_METHOD_INTEGRATED_GRADIENTS: "integrated_gradients",
    pb.EXPLANATION_METHOD_OCCLUSION: "occlusion",
}
_NUMBERS = {name: number for number, name in _METHODS.items()}


async def explain(runtime: Runtime, request: pb.ExplainPredictionRequest) -> pb.ExplainPredictionResponse:
    """Raises InvalidArgument naming every wrong field, and what `Runtime.explain` raises."""
    found = Violations()
    found.attempt(lambda: parse_any(request.model, "model"))
    size = len(request.image)
    found.check(size > 0, "image", "is empty; must be the bytes of a picture file")
    right = f"has {size} bytes; must have at most {MAX_IMAGE_BYTES}: scale the picture down"
    found.check(size <= MAX_IMAGE_BYTES, "image", right)
    method = _METHODS.get(request.method)
    found.check(method is not None, "method", f"{request.method} is no ExplanationMethod")
    found.raise_if_any()
    assert method is not None
    options = ExplainOptions(method, request.class_name or None)
    answer = await runtime.explain(request.model, request.image, options)
    return pb.ExplainPredictionResponse(
        overlay=answer.overlay_png,
        map=answer.map,
        rows=answer.shape[0],
        columns=answer.shape[1],
        class_name=utf8(answer.class_name),
        probability=answer.probability,
        predicted=utf8(answer.predicted),
        method=_NUMBERS[method],
        model_used=answer.model_used,
    )
