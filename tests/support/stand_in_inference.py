"""Stand-ins for the inference engine: one that always says the same, and one that asks exported models at once.

Neither has replicas, batches or a queue: those are the engine's, and are tested with it.
"""

from __future__ import annotations

import time
from base64 import b64decode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from learnfleet.server.domain import DEFAULT_TENANT
from learnfleet.server.errors import NotFound
from learnfleet.server.inference.ports import (
    Answered,
    Array,
    InferOptions,
    Input,
    Loaded,
    ModelInfo,
    Output,
    PictureFile,
    Reply,
    TensorInput,
)
from learnfleet.server.rpc.tenants import current_tenant
from learnfleet.trainer.data_spec import LabelKind

if TYPE_CHECKING:
    from torch import Tensor

    from learnfleet.trainer.predictor import Prediction, Predictor


@dataclass
class FixedInference:
    """Says of every picture that it is a dog."""

    error: Exception | None = None  # raised instead
    asked: list[tuple[str, int]] = field(default_factory=list)  # model and number of items of each call
    owners: dict[str, str | None] = field(default_factory=dict)  # by reference; others are whoever's asks

    async def infer(
        self, model: str, inputs: Sequence[Input], options: InferOptions, timeout_s: float | None = None
    ) -> Reply:
        if self.error is not None:
            raise self.error
        self.asked.append((model, len(inputs)))
        dog = Answered(
            index=1, probabilities=(0.2, 0.7, 0.1), queue_s=0.1, decode_s=0.2, infer_s=0.3, batch_size=len(inputs)
        )
        return Reply(await self.describe(model), (dog,) * len(inputs))

    async def describe(self, model: str) -> ModelInfo:
        return ModelInfo(model, LabelKind.CATEGORY, ("cat", "dog", "owl"), (32, 32), (3,))

    async def is_ready(self, model: str) -> bool:
        return True

    async def load(self, model: str, *, pin: bool = False) -> ModelInfo:
        return await self.describe(model)

    async def unload(self, model: str) -> None:
        pass

    async def loaded(self) -> Sequence[Loaded]:
        return ()

    async def owner(self, model: str) -> str | None:
        return self.owners.get(model, current_tenant())


class PredictorInference:
    """Asks predictors in this process, one item after the other."""

    def __init__(self, models: Mapping[str, Predictor], aliases: Mapping[str, str] | None = None) -> None:
        """`models` by `models/m/versions/v`; `aliases`: such a name by `models/m@alias`."""
        self._models, self._aliases = dict(models), dict(aliases or {})
        self._ready: dict[str, bool] = {}  # whether it is pinned, by name

    async def infer(
        self, model: str, inputs: Sequence[Input], options: InferOptions, timeout_s: float | None = None
    ) -> Reply:
        info = await self.load(model)
        predictor = self._models[info.name]
        return Reply(info, tuple(_answer(predictor, item, options) for item in inputs))

    async def describe(self, model: str) -> ModelInfo:
        name = self._aliases.get(model, model)
        if name not in self._models:
            raise NotFound(model)
        predictor = self._models[name]
        size = predictor.transform.size
        shape = (len(predictor.classes), *size) if predictor.kind is LabelKind.MASK else (len(predictor.classes),)
        return ModelInfo(name, predictor.kind, predictor.classes, (size[0], size[1]) if size else None, shape)

    async def is_ready(self, model: str) -> bool:
        return self._aliases.get(model, model) in self._ready

    async def load(self, model: str, *, pin: bool = False) -> ModelInfo:
        info = await self.describe(model)
        self._ready[info.name] = self._ready.get(info.name, False) or pin
        return info

    async def unload(self, model: str) -> None:
        self._ready.pop((await self.describe(model)).name, None)

    async def loaded(self) -> Sequence[Loaded]:
        return [Loaded(name, 1, pinned, 1) for name, pinned in self._ready.items()]

    async def owner(self, model: str) -> str | None:
        await self.describe(model)
        return DEFAULT_TENANT


def _answer(predictor: Predictor, item: Input, options: InferOptions) -> Answered:
    from learnfleet.trainer.images import BadImage

    began = time.perf_counter()
    try:
        pixels = _pixels(predictor, item)
    except BadImage as error:
        return Answered(error=error.reason)
    decoded = time.perf_counter()
    if pixels is None:
        assert isinstance(item, TensorInput)
        return Answered(error=f"shape: is {list(item.shape)}; must be [3, *{predictor.transform.size}]")
    said = predictor.predict_pixels(pixels, options.thresh, options.tta)
    samples = predictor.dropout_samples([pixels], options.dropout_samples, options.thresh)[0]
    return replace(
        _answered(said),
        arrays=_arrays(predictor, item, said, options),
        samples=tuple(map(_answered, samples)),
        decode_s=decoded - began,
        infer_s=time.perf_counter() - decoded,
        batch_size=1,
    )


def _answered(said: Prediction) -> Answered:
    is_multi = said.kind is LabelKind.MULTI_CATEGORY
    return Answered(
        kind=said.kind,
        index=said.index,
        probabilities=said.probabilities,
        labels=tuple(said.class_name.split(";")) if is_multi and said.class_name else (),
        values=said.values,
        mask_png=b64decode(said.mask_png()) if said.kind is LabelKind.MASK else b"",
        picture_png=b64decode(said.picture_png()) if said.kind is LabelKind.IMAGE else b"",
    )


def _pixels(predictor: Predictor, item: Input) -> Tensor | None:
    """None for numbers of another size than the model's."""
    import torch

    if isinstance(item, PictureFile):
        return predictor.transform.pixels(item.content)
    if predictor.transform.size and item.shape[1:] != tuple(predictor.transform.size):
        return None
    if item.dtype == "uint8":
        return torch.frombuffer(bytearray(item.content), dtype=torch.uint8).reshape(item.shape)
    values = torch.frombuffer(bytearray(item.content), dtype=torch.float32).reshape(item.shape)
    mean, std = (torch.tensor(each).reshape(3, 1, 1) for each in (predictor.transform.mean, predictor.transform.std))
    return ((values * std + mean) * 255).round().clamp(0, 255).to(torch.uint8)


def _arrays(predictor: Predictor, item: Input, said: Prediction, options: InferOptions) -> dict[Output, Array]:
    made = {}
    if Output.LOGITS in options.outputs and isinstance(item, PictureFile):
        made[Output.LOGITS] = _array(predictor.logits([item.content])[0])
    if Output.ACTIVATED in options.outputs:
        made[Output.ACTIVATED] = _array(said.activated)
    return made


def _array(values: Tensor) -> Array:
    return Array(tuple(values.shape), values.float().contiguous().numpy().tobytes())
