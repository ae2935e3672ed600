"""Which model is asked, and how, from protobuf."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

from learnfleet.server import names
from learnfleet.server.inference.ports import InferOptions, Output
from learnfleet.server.rpc.violations import Violations
from learnfleet.v1 import prediction_service_pb2 as pb

DEFAULT_TOP_K = 5
_MAX_SAMPLES = 100
_OUTPUTS: dict[int, Output] = {
    pb.OUTPUT_LOGITS: Output.LOGITS,
    pb.OUTPUT_EMBEDDING: Output.EMBEDDING,
    pb.OUTPUT_ACTIVATED: Output.ACTIVATED,
}

AskedMessage: TypeAlias = pb.PredictRequest | pb.PredictBatchRequest | pb.PredictStreamSettings


@dataclass(frozen=True)
class Asked:
    """What is the same for all items of a call."""

    model: str  # `models/...` or `learners/...`
    options: InferOptions
    top_k: int


def read_asked(message: AskedMessage, found: Violations, prefix: str = "") -> Asked:
    """What a request says of it; `prefix` stands before the names of wrong fields."""
    check_model(message.model, f"{prefix}model", found)
    top_k = message.top_k
    found.check(top_k >= 0, f"{prefix}top_k", f"is {top_k}; must be 0 (the default) or greater")
    thresh = message.thresh if message.HasField("thresh") else None
    if thresh is not None:
        found.number(f"{prefix}thresh", thresh, 0, 1)
    outputs = _outputs(message.outputs, f"{prefix}outputs", found)
    samples = message.dropout_samples if isinstance(message, pb.PredictRequest) else 0
    field = f"{prefix}dropout_samples"
    found.number(field, samples, 0, _MAX_SAMPLES)
    found.check(not (samples and message.tta), field, "is not possible under tta; leave one of them out")
    return Asked(message.model, InferOptions(thresh, message.tta, outputs, samples), top_k or DEFAULT_TOP_K)


def check_model(model: str, field: str, found: Violations) -> None:
    """Whether it is a name that a model can have."""
    parse = names.parse_learner if model.startswith("learners/") else names.parse_model
    found.attempt(lambda: parse(model, field))


def _outputs(numbers: Iterable[int], field: str, found: Violations) -> frozenset[Output]:
    known = "OUTPUT_LOGITS, OUTPUT_EMBEDDING, OUTPUT_ACTIVATED"
    chosen = set()
    for place, number in enumerate(numbers):
        if found.check(number in _OUTPUTS, f"{field}[{place}]", f"is {number}; must be one of {known}"):
            chosen.add(_OUTPUTS[number])
    return frozenset(chosen)
