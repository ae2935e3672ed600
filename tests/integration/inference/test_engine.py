"""The engine on real replicas (real models, sockets and pictures), which live in this process instead of in Ray's."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.exported_learners import learner_of, noise_and_masks

from learnfleet.server.errors import DeadlineExceeded, FailedPrecondition, NotFound, ResourceExhausted, Unavailable
from learnfleet.server.inference.engine import Engine, EngineSettings
from learnfleet.server.inference.plan import ReplicaSettings
from learnfleet.server.inference.ports import (
    InferOptions,
    Output,
    PictureFile,
    TensorInput,
)
from learnfleet.server.inference.references import Choice, References, Target
from learnfleet.server.inference.replica import Replica
from learnfleet.server.inference.scaler import ScaleSettings
from learnfleet.trainer import load_predictor
from learnfleet.trainer.data_spec import LabelKind

PLAIN = InferOptions()
MODEL = "models/m/versions/1"
TIMEOUT_S = 60


@dataclass
class Exports:
    """References that mean what the test says."""

    choices: dict[str, Choice]
    chance: float = 1.0

    async def choose(self, reference: str) -> Choice:
        if reference not in self.choices:
            raise NotFound(reference)
        return self.choices[reference]

    pick = References.pick

    def _chance(self) -> float:
        return self.chance


@dataclass
class Here:
    """Starts replicas in this process."""

    folder: Path
    replicas: dict[str, Replica] = field(default_factory=dict)
    started: int = 0
    has_room: bool = True

    def start(self, replica_id: str, token: str) -> str:
        if not self.has_room:
            raise TimeoutError("no replica came up")
        self.started += 1
        replica = self.replicas[replica_id] = Replica(ReplicaSettings(token))
        return replica.listen(f"unix:{self.folder}/{replica_id}")

    def end(self, replica_id: str) -> None:
        replica = self.replicas.pop(replica_id, None)
        if replica is not None:
            assert replica._server is not None
            replica._server.stop(None).wait()

    # test controls

    def kill(self) -> None:
        """All of them, without a word."""
        for replica_id in list(self.replicas):
            self.end(replica_id)


@pytest.fixture(scope="module")
def exports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """By kind of label."""
    found = {}
    for kind in ("category", "mask", "multi_category", "float"):
        root = noise_and_masks(tmp_path_factory.mktemp(kind.replace("_", "")))
        learner = learner_of(kind, root, root)
        learner.export()
        found[kind] = root / "export"
    return found


@pytest.fixture
def here(tmp_path: Path) -> Here:
    return Here(tmp_path)


def picture(seed: int = 0, size: tuple[int, int] = (40, 36)) -> PictureFile:
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "PNG")
    return PictureFile(content.getvalue())


async def until(holds: Callable[[], bool]) -> None:
    while not holds():  # noqa: ASYNC110
        await asyncio.sleep(0.01)


def with_engine(here: Here, exports: Exports, check: Callable[[Engine], Awaitable[None]], **settings: object) -> None:
    async def run() -> None:
        scale = settings.pop("scale", ScaleSettings(0, 1))
        engine = Engine(exports, here, EngineSettings(scale, **settings))  # type: ignore[arg-type]
        try:
            await asyncio.wait_for(check(engine), TIMEOUT_S)
        finally:
            await engine.close()
            here.kill()

    asyncio.run(run())


def only(folder: Path) -> Exports:
    return Exports({MODEL: Choice(Target("models/m/versions/1", str(folder)))})


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


def test_an_alias_that_moves_answers_by_its_old_version_until_the_new_one_is_warm(
    here: Here, exports: dict[str, Path]
) -> None:
    first, second = (
        Target("models/m/versions/1", str(exports["category"])),
        Target("models/m/versions/2", str(exports["mask"])),
    )
    means = Exports({"models/m@best": Choice(first, keeps_old=True)})

    async def check(engine: Engine) -> None:
        async def used() -> str:
            return (await engine.infer("models/m@best", [picture()], PLAIN)).model.name

        assert await used() == first.name
        means.choices["models/m@best"] = Choice(second, keeps_old=True)
        assert not await engine.is_ready("models/m@best")
        seen = [await used()]
        while seen[-1] != second.name:
            seen.append(await used())
        assert seen[0] == first.name
        assert await engine.is_ready("models/m@best")

    with_engine(here, means, check)


def test_a_split_sends_its_share_of_the_calls_to_the_other_version(here: Here, exports: dict[str, Path]) -> None:
    main, canary = (
        Target("models/m/versions/1", str(exports["category"])),
        Target("models/m/versions/2", str(exports["mask"])),
    )
    means = Exports({"models/m@best": Choice(main, canary, 0.1, keeps_old=True)}, chance=0.05)

    async def check(engine: Engine) -> None:
        async def used() -> str:
            return (await engine.infer("models/m@best", [picture()], PLAIN)).model.name

        assert await used() == main.name  # the canary is not warm yet
        while await used() == main.name:
            pass
        means.chance = 0.15
        assert await used() == main.name

    with_engine(here, means, check)


def test_memory_holds_the_models_asked_last_and_those_that_are_pinned(here: Here, exports: dict[str, Path]) -> None:
    kinds = ("category", "multi_category", "float")
    means = Exports({f"models/{kind}@a": Choice(Target(kind, str(exports[kind]))) for kind in kinds})

    async def check(engine: Engine) -> None:
        await engine.load("models/category@a", pin=True)
        size = (await engine.loaded())[0].bytes
        assert size > 1_000_000
        for kind in kinds[1:]:
            await engine.load(f"models/{kind}@a")
        found = {model.name: model.pinned for model in await engine.loaded()}
        assert found == {"category": True, "float": False}
        await engine.unload("models/category@a")
        assert [model.name for model in await engine.loaded()] == ["float"]
        assert not await engine.is_ready("models/category@a")
        assert not await engine.is_ready("models/nobody@a")

    with_engine(here, means, check, cache_bytes=8_000_000)


def test_a_pinned_model_comes_back_after_its_replica_died(here: Here, exports: dict[str, Path]) -> None:
    async def check(engine: Engine) -> None:
        await engine.load(MODEL, pin=True)
        await asyncio.to_thread(here.kill)
        await until(lambda: here.started == 2)
        while not await engine.is_ready(MODEL):
            await engine.describe(MODEL)

    with_engine(here, only(exports["category"]), check)


def test_a_queue_brings_a_second_replica_and_idleness_ends_them(here: Here, exports: dict[str, Path]) -> None:
    async def check(engine: Engine) -> None:
        item = picture()
        calls = [asyncio.create_task(engine.infer(MODEL, [item], PLAIN)) for _ in range(200)]
        while here.started < 2:
            await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
            calls = [call for call in calls if not call.done()]
            calls += [asyncio.create_task(engine.infer(MODEL, [item], PLAIN)) for _ in range(200 - len(calls))]
        await asyncio.gather(*calls)
        await until(lambda: not here.replicas)
        assert (await engine.infer(MODEL, [picture()], PLAIN)).items[0].error == ""

    scale = ScaleSettings(0, 2, patience_s=0.0, idle_s=0.5)
    with_engine(here, only(exports["category"]), check, scale=scale, max_batch=2)


def test_strangers_are_refused_by_a_replica(here: Here) -> None:
    import grpc

    from learnfleet.server.inference import wire

    address = here.start("r", "the token")
    with grpc.insecure_channel(address) as channel, pytest.raises(grpc.RpcError) as refused:
        channel.unary_unary(wire.LOAD)(b"", metadata=((wire.TOKEN_KEY, "another"),), timeout=TIMEOUT_S)
    assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
    here.kill()
