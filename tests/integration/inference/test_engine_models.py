"""Which models the engine's replicas hold, and how many replicas there are: aliases, splits, memory, scaling."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from support.engine_lab import MODEL, PLAIN, TIMEOUT_S, Exports, Here, only, picture, until, with_engine
from torch.nn.modules.module import register_module_forward_hook

from learnfleet.server.errors import FailedPrecondition, Unavailable
from learnfleet.server.inference.engine import Engine
from learnfleet.server.inference.newcomers import Newcomers
from learnfleet.server.inference.ports import InferOptions
from learnfleet.server.inference.references import Choice, Target
from learnfleet.server.inference.replica import Replica
from learnfleet.server.inference.scaler import ScaleSettings


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


def test_where_an_alias_is_in_use_its_new_version_takes_over_before_anybody_asks(
    here: Here, exports: dict[str, Path]
) -> None:
    first, second = (
        Target("models/m/versions/1", str(exports["category"])),
        Target("models/m/versions/2", str(exports["mask"])),
    )
    means = Exports({"models/m@best": Choice(first, keeps_old=True), "models/m@idle": Choice(first, keeps_old=True)})

    async def check(engine: Engine) -> None:
        await engine.infer("models/m@best", [picture()], PLAIN)
        means.choices["models/m@best"] = Choice(second, keeps_old=True)
        means.choices["models/m@idle"] = Choice(Target("models/m/versions/3", "/nowhere"), keeps_old=True)
        news = Newcomers(means, engine)  # type: ignore[arg-type]
        await asyncio.to_thread(news.changed, "another")
        assert not await engine.is_ready("models/m@best")
        await asyncio.to_thread(news.changed, "m")
        assert await engine.is_ready("models/m@best")
        assert (await engine.infer("models/m@best", [picture()], PLAIN)).model.name == second.name

    with_engine(here, means, check)


def test_a_new_version_that_does_not_load_leaves_the_old_one_to_answer(here: Here, exports: dict[str, Path]) -> None:
    first = Target("models/m/versions/1", str(exports["category"]))
    means = Exports({"models/m@best": Choice(first, keeps_old=True)})

    async def check(engine: Engine) -> None:
        await engine.infer("models/m@best", [picture()], PLAIN)
        means.choices["models/m@best"] = Choice(Target("models/m/versions/2", "/nowhere"), keeps_old=True)
        await asyncio.to_thread(Newcomers(means, engine).changed, "m")  # type: ignore[arg-type]
        assert (await engine.infer("models/m@best", [picture()], PLAIN)).model.name == first.name

    with_engine(here, means, check)


def test_a_replica_comes_up_while_an_export_is_being_made(here: Here, exports: dict[str, Path]) -> None:
    means = only(exports["category"])

    async def check(engine: Engine) -> None:
        Newcomers(means, engine).expect()  # type: ignore[arg-type]  # no loop yet: nothing to be told
        engine.start()
        Newcomers(means, engine, starts_replicas=False).expect()  # type: ignore[arg-type]
        assert here.started == 0
        for _ in range(2):
            await asyncio.to_thread(Newcomers(means, engine).expect)  # type: ignore[arg-type]
            await until(lambda: here.started == 1)
        await engine.infer(MODEL, [picture()], PLAIN)
        assert here.started == 1

    with_engine(here, means, check)


@pytest.mark.parametrize("kind", ["category", "mask", "multi_category", "float"])
def test_a_model_is_described_without_a_replica_as_it_is_with_one(
    here: Here, exports: dict[str, Path], kind: str
) -> None:
    async def check(engine: Engine) -> None:
        said = await engine.describe(MODEL)
        assert here.started == 0
        assert not await engine.is_ready(MODEL)
        assert said == await engine.load(MODEL) == await engine.describe(MODEL)

    with_engine(here, only(exports[kind]), check)


def test_an_export_that_is_broken_is_no_model(here: Here, tmp_path: Path) -> None:
    async def check(engine: Engine) -> None:
        with pytest.raises(FailedPrecondition, match="models/m/versions/1 cannot be loaded: CorruptCheckpoint"):
            await engine.describe(MODEL)
        assert here.started == 0

    with_engine(here, only(tmp_path / "nothing"), check)


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


def test_a_model_is_loaded_once_however_many_ask_and_has_computed_before_it_is_ready(
    here: Here, exports: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    loads, passes = [], []
    real = Replica.load
    monkeypatch.setattr(Replica, "load", lambda self, request: (loads.append(request.key), real(self, request))[1])
    counted = register_module_forward_hook(lambda module, *_: passes.append(type(module)))

    async def check(engine: Engine) -> None:
        asking = [engine.load(MODEL) for _ in range(5)]
        await asyncio.gather(*asking, *(engine.describe(MODEL) for _ in range(5)))
        assert await engine.is_ready(MODEL)
        assert passes, "its first forward pass is that of whoever asks first"
        await engine.unload(MODEL)
        replies = await asyncio.gather(*(engine.infer(MODEL, [picture(seed)], PLAIN) for seed in range(20)))
        assert [reply.items[0].error for reply in replies] == [""] * 20
        assert len(loads) == 2

    with counted:
        with_engine(here, only(exports["category"]), check)


def test_more_models_than_are_remembered_are_answered_for_as_long_as_a_replica_holds_them(
    here: Here, exports: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("learnfleet.server.inference.served._MOST", 1)
    kinds = ("category", "multi_category", "float")
    means = Exports({f"models/{kind}@a": Choice(Target(kind, str(exports[kind]))) for kind in kinds})

    async def check(engine: Engine) -> None:
        for kind in (*kinds, *kinds):
            reply = await engine.infer(f"models/{kind}@a", [picture()], PLAIN)
            assert (reply.model.name, str(reply.model.kind), reply.items[0].error) == (kind, kind, "")

    with_engine(here, means, check)


def test_a_pinned_model_comes_back_after_its_replica_died(here: Here, exports: dict[str, Path]) -> None:
    async def check(engine: Engine) -> None:
        await engine.load(MODEL, pin=True)
        await asyncio.to_thread(here.kill)
        await until(lambda: here.started == 2)
        while not await engine.is_ready(MODEL):  # noqa: ASYNC110
            await asyncio.sleep(0.01)

    with_engine(here, only(exports["category"]), check)


def test_a_pinned_model_that_is_gone_or_cannot_be_asked_for_stops_no_care_for_others(
    here: Here, exports: dict[str, Path]
) -> None:
    means = Exports({f"models/{kind}@a": Choice(Target(kind, str(exports[kind]))) for kind in ("category", "float")})

    class Away(dict[str, Choice]):
        def __contains__(self, reference: object) -> bool:
            if reference == "models/category@a":
                raise Unavailable("the registry is away")
            return super().__contains__(reference)

    async def check(engine: Engine) -> None:
        for reference in means.choices:
            await engine.load(reference, pin=True)
        known = dict(means.choices)
        means.choices = Away(known)
        await asyncio.to_thread(here.kill)
        await until(
            lambda: engine.figures().models == 2
        )  # also the one that cannot be asked for: it means what it meant
        means.choices = known
        del means.choices["models/category@a"]
        while [model.name for model in await engine.loaded() if model.pinned] != ["float"]:  # noqa: ASYNC110
            await asyncio.sleep(0.01)

    with_engine(here, means, check)


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


def test_clients_that_keep_a_replica_busy_are_shared_with_an_idle_one(here: Here, exports: dict[str, Path]) -> None:
    """As many as a batch has: there is never a line, and one would do all of it."""

    async def check(engine: Engine) -> None:
        await engine.infer(MODEL, [picture()], PLAIN)
        of_one = engine.figures().model_bytes
        await until(lambda: engine.figures().replicas == 2)
        asking = True

        async def client() -> None:
            while asking:
                assert (await engine.infer(MODEL, [picture()], PLAIN)).items[0].error == ""

        clients = [asyncio.create_task(client()) for _ in range(8)]
        await until(lambda: engine.figures().model_bytes == 2 * of_one)
        await until(lambda: engine.figures().busy == 2)
        asking = False
        await asyncio.gather(*clients)

    with_engine(here, only(exports["category"]), check, scale=ScaleSettings(2, 2, patience_s=60), max_batch=8)


def test_samples_with_dropout_differ_and_change_nothing(here: Here, exports: dict[str, Path]) -> None:
    async def check(engine: Engine) -> None:
        item = picture()
        before, _ = (await engine.infer(MODEL, [item, item], PLAIN)).items
        answer = (await engine.infer(MODEL, [item, item], InferOptions(dropout_samples=4))).items
        assert [len(each.samples) for each in answer] == [4, 4]
        assert all(each.probabilities == before.probabilities for each in answer)
        assert len({sample.probabilities for each in answer for sample in each.samples}) > 1
        after, _ = (await engine.infer(MODEL, [item, item], PLAIN)).items
        assert after.probabilities == before.probabilities

    with_engine(here, only(exports["category"]), check)


def test_strangers_are_refused_by_a_replica(here: Here) -> None:
    import grpc

    from learnfleet.server.inference import wire

    address = here.start("r", "the token")
    with grpc.insecure_channel(address) as channel, pytest.raises(grpc.RpcError) as refused:
        channel.unary_unary(wire.LOAD)(b"", metadata=((wire.TOKEN_KEY, "another"),), timeout=TIMEOUT_S)
    assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
    here.kill()
