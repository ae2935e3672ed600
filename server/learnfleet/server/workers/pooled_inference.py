"""Inference by the one process that predicts, a picture at a time, until there are replicas that batch."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from learnfleet.server.errors import Unimplemented
from learnfleet.server.inference.ports import Answered, InferOptions, Input, Loaded, ModelInfo, PictureFile, Reply
from learnfleet.server.long_calls import LongCalls
from learnfleet.server.workers.predictor import PredictionPool

_CONCURRENT = 8  # as many as the predicting process takes at a time


class PooledInference:
    """The `Inference` of a `PredictionPool`."""

    def __init__(self, pool: PredictionPool) -> None:
        self._pool = pool
        self._calls = LongCalls("predict", _CONCURRENT)

    async def infer(
        self, model: str, inputs: Sequence[Input], options: InferOptions, timeout_s: float | None = None
    ) -> Reply:
        if options.outputs or not all(isinstance(item, PictureFile) for item in inputs):
            raise Unimplemented("tensors, and outputs beside the prediction, are not offered yet")
        info = await self.describe(model)
        answers = [self._calls.run(self._pool.predict, model, item.content, options) for item in inputs]
        found: list[Answered] = await asyncio.gather(*answers)
        return Reply(info, tuple(found))

    async def describe(self, model: str) -> ModelInfo:
        return await self._calls.run(self._pool.describe, model)

    async def is_ready(self, model: str) -> bool:
        return False

    async def load(self, model: str, *, pin: bool = False) -> ModelInfo:
        raise Unimplemented("models are loaded when they are asked")

    async def unload(self, model: str) -> None:
        raise Unimplemented("models are let go when others are asked")

    async def loaded(self) -> Sequence[Loaded]:
        return ()
