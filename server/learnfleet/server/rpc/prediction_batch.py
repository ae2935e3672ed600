"""Many pictures of one call: those that can be read are asked about, the others have their errors in their places."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from learnfleet.server.errors import ServiceError
from learnfleet.server.inference.ports import Inference, InferOptions, Input, Reply
from learnfleet.server.rpc import deadlines
from learnfleet.server.rpc.read_asked import Asked
from learnfleet.server.rpc.read_input import read_input
from learnfleet.server.rpc.server_files import ServerFiles
from learnfleet.server.rpc.write_prediction import error_to_proto, result_to_proto
from learnfleet.v1 import prediction_service_pb2 as pb

MAX_INPUTS = 1024
_AT_A_TIME = 64  # a call of many pictures leaves room in the model's queue for those of others


@dataclass(frozen=True)
class BatchPrediction:
    """Answers PredictBatch."""

    inference: Inference
    files: ServerFiles

    async def predict(self, messages: Sequence[pb.Input], asked: Asked) -> list[pb.ItemResult]:
        """One result a message. Raises what is wrong with the call as a whole, as an unknown model."""
        read = await asyncio.gather(*(read_input(message, self.files) for message in messages), return_exceptions=True)
        good = [value for value in read if not isinstance(value, BaseException)]
        if not good:
            await self.inference.describe(asked.model)  # an unknown model is told of first
        found = [
            result_to_proto(answered, asked_input, reply.model, asked.top_k)
            for inputs, reply in await infer_all(self.inference, asked.model, good, asked.options)
            for asked_input, answered in zip(inputs, reply.items, strict=True)
        ]
        remaining = iter(found)
        return [_refused(value) if isinstance(value, BaseException) else next(remaining) for value in read]


async def infer_all(
    inference: Inference, model: str, inputs: Sequence[Input], options: InferOptions, timeout_s: float | None = None
) -> list[tuple[Sequence[Input], Reply]]:
    """The replies to any number of items, some at a time, with what each of them is of.

    Args:
        timeout_s: how long the caller waits; None: as long as the call's deadline says.
    """
    replies = []
    for start in range(0, len(inputs), _AT_A_TIME):
        some = inputs[start : start + _AT_A_TIME]
        patience_s = deadlines.remaining_s() if timeout_s is None else timeout_s
        replies.append((some, await inference.infer(model, some, options, patience_s)))
    return replies


def _refused(error: BaseException) -> pb.ItemResult:
    if isinstance(error, ServiceError):
        return error_to_proto(error)
    raise error
