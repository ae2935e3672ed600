"""What the engine answers, and when it refuses to: on real replicas, which live in this process instead of in Ray's."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.engine_lab import MODEL, PLAIN, Here, only, picture, with_engine

from learnfleet.server.errors import DeadlineExceeded, FailedPrecondition, ResourceExhausted, Unavailable
from learnfleet.server.inference.engine import Engine
from learnfleet.server.inference.ports import (
    InferOptions,
    Output,
    PictureFile,
    TensorInput,
)
from learnfleet.trainer import load_predictor
from learnfleet.trainer.data_spec import LabelKind


def test_answers_are_those_of_the_export_itself(here: Here, exports: dict[str, Path]) -> None:
    expected = load_predictor(exports["category"])

    async def check(engine: Engine) -> None:
        items = [picture(seed) for seed in range(12)]
        calls = [engine.infer(MODEL, [item], PLAIN) for item in items]
        replies = await asyncio.gather(*calls)
        for item, reply in zip(items, replies, strict=True):
            _, index, probabilities = expected.predict(item.content)
            found = reply.items[0]
            assert (found.error, found.index, reply.model.classes) == ("", int(index), expected.classes)
            np.testing.assert_allclose(found.probabilities, probabilities.numpy(), rtol=1e-4)
            assert found.batch_size <= 8
        assert here.started == 1
        assert replies[0].model.output_shape == (3,)

    with_engine(here, only(exports["category"]), check)


def test_a_bad_item_fails_alone(here: Here, exports: dict[str, Path]) -> None:
    async def check(engine: Engine) -> None:
        pixels = np.zeros((3, 32, 32), np.uint8)
        items = [
            picture(),
            PictureFile(b"no picture"),
            TensorInput("uint8", (3, 32, 32), pixels.tobytes()),
            TensorInput("uint8", (3, 10, 32), pixels.tobytes()),
            TensorInput("float32", (3, 32, 32), pixels.tobytes()),
            TensorInput("int64", (3, 32, 32), b""),
            TensorInput("float32", (3, 32, 32), pixels.astype("<f4").tobytes()),
        ]
        found = (await engine.infer(MODEL, items, PLAIN)).items
        errors = [item.error for item in found]
        assert errors[0] == errors[2] == errors[6] == ""
        assert "not a picture of a known format" in errors[1]
        assert "shape: is [3, 10, 32]; must be [3, 32, 32]" in errors[3]
        assert "content: has 3072 bytes; float32 [3, 32, 32] has 12288" in errors[4]
        assert "dtype: is int64" in errors[5]

    with_engine(here, only(exports["category"]), check)


def test_a_picture_that_the_model_cannot_compute_fails_alone_and_costs_no_replica(here: Here, any_size: Path) -> None:
    """The network itself raises: also in the middle of a batch of its own size, and for lack of memory."""

    async def check(engine: Engine) -> None:
        sizes = [(40, 36), (1, 1), (40, 36), (1, 1), (2, 300)]
        found = (await engine.infer(MODEL, [picture(place, size) for place, size in enumerate(sizes)], PLAIN)).items
        assert [item.error.partition(":")[0] for item in found] == ["", "model", "", "model", "model"]
        assert "cannot compute a picture of shape [3, 1, 1]" in found[1].error
        alone = (await engine.infer(MODEL, [picture(1, (1, 1))], PLAIN)).items[0]
        assert "[3, 1, 1]" in alone.error
        assert (await engine.infer(MODEL, [picture()], PLAIN)).items[0].error == ""
        assert here.started == 1

    with_engine(here, only(any_size), check)


def test_a_batch_too_large_for_the_memory_is_computed_in_parts(
    here: Here, exports: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    from learnfleet.trainer.predictor import Answer, Predictor

    real = Predictor.answer

    def tight(self: Predictor, inputs: list[torch.Tensor], *args: Any, **kwargs: Any) -> list[Answer]:
        if len(inputs) > 2:
            raise torch.OutOfMemoryError("there is room for two")
        return real(self, inputs, *args, **kwargs)

    monkeypatch.setattr(Predictor, "answer", tight)

    async def check(engine: Engine) -> None:
        found = (await engine.infer(MODEL, [picture(seed) for seed in range(7)], PLAIN)).items
        assert [item.error for item in found] == [""] * 7
        assert here.started == 1

    with_engine(here, only(exports["category"]), check)


def test_where_nothing_can_be_computed_it_is_the_replica_and_not_the_picture(
    here: Here, exports: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    from learnfleet.trainer.predictor import Predictor

    real = Predictor.answer
    broken: list[Predictor] = []

    def answer(self: Predictor, *args: Any, **kwargs: Any) -> Any:
        if not broken or self is not broken[0]:
            return real(self, *args, **kwargs)
        raise RuntimeError("CUDA error: unspecified launch failure")

    monkeypatch.setattr(Predictor, "answer", answer)

    async def check(engine: Engine) -> None:
        await engine.load(MODEL)
        (replica,) = here.replicas.values()
        broken.extend(model._predictor for model in replica._models.values())
        assert (await engine.infer(MODEL, [picture()], PLAIN)).items[0].error == ""
        assert here.started == 2

    with_engine(here, only(exports["category"]), check)


def test_what_is_asked_for_beside_the_prediction_is_given(here: Here, exports: dict[str, Path]) -> None:
    async def check(engine: Engine) -> None:
        options = InferOptions(outputs=frozenset(Output))
        found = (await engine.infer(MODEL, [picture()], options)).items[0]
        logits = np.frombuffer(found.arrays[Output.LOGITS].content, "<f4")
        activated = np.frombuffer(found.arrays[Output.ACTIVATED].content, "<f4")
        np.testing.assert_allclose(np.exp(logits) / np.exp(logits).sum(), found.probabilities, rtol=1e-4)
        np.testing.assert_allclose(activated, found.probabilities, rtol=1e-4)
        assert found.arrays[Output.EMBEDDING].shape == (512,)
        with_tta = (await engine.infer(MODEL, [picture()], InferOptions(tta=True))).items[0]
        assert with_tta.probabilities != found.probabilities

    with_engine(here, only(exports["category"]), check)


@pytest.mark.parametrize("kind", ["mask", "multi_category", "float"])
def test_every_kind_of_label_is_told_in_its_own_fields(here: Here, exports: dict[str, Path], kind: str) -> None:
    async def check(engine: Engine) -> None:
        reply = await engine.infer(MODEL, [picture()], InferOptions(thresh=0.0))
        found = reply.items[0]
        assert reply.model.kind is LabelKind(kind)
        assert bool(found.mask_png) == (kind == "mask")
        assert found.labels == (reply.model.classes if kind == "multi_category" else ())
        assert len(found.values) == (1 if kind == "float" else 0)

    with_engine(here, only(exports[kind]), check)


def test_what_a_model_cannot_give_is_told_of_the_model(here: Here, exports: dict[str, Path]) -> None:
    async def check(engine: Engine) -> None:
        with pytest.raises(FailedPrecondition, match="embedding: this model is not made of a body"):
            await engine.infer(MODEL, [picture()], InferOptions(outputs=frozenset({Output.EMBEDDING})))

    with_engine(here, only(exports["mask"]), check)


def test_a_model_that_does_not_load_is_told_with_the_reason(
    here: Here, exports: dict[str, Path], tmp_path: Path
) -> None:
    async def check(engine: Engine) -> None:
        with pytest.raises(FailedPrecondition, match="models/m/versions/1 cannot be loaded"):
            await engine.infer(MODEL, [picture()], PLAIN)

    with_engine(here, only(tmp_path / "nothing"), check)


def test_beyond_the_line_a_call_is_refused_with_when_to_try_again(here: Here, exports: dict[str, Path]) -> None:
    async def check(engine: Engine) -> None:
        with pytest.raises(ResourceExhausted, match="room for 4") as refused:
            await engine.infer(MODEL, [picture()] * 5, PLAIN)
        assert refused.value.retry_after_s > 0
        assert len((await engine.infer(MODEL, [picture()] * 4, PLAIN)).items) == 4

    with_engine(here, only(exports["category"]), check, max_waiting=4)


def test_a_call_past_its_deadline_is_dropped_and_others_are_served(here: Here, exports: dict[str, Path]) -> None:
    async def check(engine: Engine) -> None:
        with pytest.raises(DeadlineExceeded):
            await engine.infer(MODEL, [picture()], PLAIN, timeout_s=0.0)
        assert (await engine.infer(MODEL, [picture()], PLAIN)).items[0].error == ""

    with_engine(here, only(exports["category"]), check)


def test_a_replica_that_dies_is_replaced_and_its_batches_are_answered(here: Here, exports: dict[str, Path]) -> None:
    async def check(engine: Engine) -> None:
        await engine.load(MODEL)
        calls = [asyncio.create_task(engine.infer(MODEL, [picture()], PLAIN)) for _ in range(6)]
        await asyncio.sleep(0)  # they are sent
        await asyncio.to_thread(here.kill)
        replies = await asyncio.gather(*calls)
        assert [reply.items[0].error for reply in replies] == [""] * 6
        assert here.started == 2

    with_engine(here, only(exports["category"]), check)


def test_without_room_for_a_replica_a_call_is_told_so(here: Here, exports: dict[str, Path]) -> None:
    here.has_room = False

    async def check(engine: Engine) -> None:
        with pytest.raises(Unavailable, match="no replica came up"):
            await engine.infer(MODEL, [picture()], PLAIN)

    with_engine(here, only(exports["category"]), check)


def test_a_picture_that_kills_its_replicas_takes_no_other_along(
    here: Here, exports: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also not those that were in one batch with it: what was with a replica that died goes alone to the next."""
    from learnfleet.trainer.serving import ServedModel

    real, deadly = ServedModel.picture, picture(99)

    def decode(self: ServedModel, content: bytes) -> torch.Tensor:
        if content == deadly.content:
            raise SystemError("as a crash would end the call")
        return real(self, content)

    monkeypatch.setattr(ServedModel, "picture", decode)

    async def check(engine: Engine) -> None:
        await engine.load(MODEL)
        items = [picture(seed) for seed in range(12)]
        items[5] = deadly
        calls = [engine.infer(MODEL, some, PLAIN) for some in (items[:3], items[3:8], *([item] for item in items[8:]))]
        found = [item for reply in await asyncio.gather(*calls) for item in reply.items]
        assert "two replicas were lost over it" in found[5].error
        assert [place for place, item in enumerate(found) if item.error] == [5]
        assert found[5].is_lost
        assert here.started <= 3

    with_engine(here, only(exports["category"]), check)
