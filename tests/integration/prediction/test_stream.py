"""PredictStream: answers bear ids, errors are of single items, and what is on its way is bounded."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import grpc
import pytest
from support.rpc_server import RunningServer, refusal, running_server
from support.served_models import MODEL
from support.stand_in_inference import FixedInference

from learnfleet.server.errors import ResourceExhausted
from learnfleet.server.inference.ports import InferOptions, Input, Reply
from learnfleet.server.rpc.prediction_stream import _IN_FLIGHT
from learnfleet.v1 import prediction_service_pb2 as pb

SETTINGS = pb.PredictStreamRequest(settings=pb.PredictStreamSettings(model=MODEL, top_k=1))


def an_item(name: str, image: bytes) -> pb.PredictStreamRequest:
    return pb.PredictStreamRequest(item=pb.StreamItem(id=name, input=pb.Input(image=image)))


class Gated(FixedInference):
    """Answers nothing until it is told to, and is full now and then."""

    def __init__(self) -> None:
        super().__init__()
        self.begun, self.most_begun, self.refusals = 0, 0, 3
        self.gate = asyncio.Event()
        self.full = threading.Event()

    async def infer(
        self, model: str, inputs: Sequence[Input], options: InferOptions, timeout_s: float | None = None
    ) -> Reply:
        if self.refusals:
            self.refusals -= 1
            raise ResourceExhausted("the queue has no room")
        self.begun += 1
        self.most_begun = max(self.most_begun, self.begun)
        if self.begun == _IN_FLIGHT:
            self.full.set()
        await self.gate.wait()
        self.begun -= 1
        return await super().infer(model, inputs, options, timeout_s)


def test_each_item_is_answered_under_its_id_and_fails_alone(server: RunningServer, content: bytes) -> None:
    items = [
        an_item("good", content),
        an_item("broken", content[:50]),
        an_item("empty", b""),
        an_item("good again", content),
        an_item("x" * 201, content),
    ]
    found = {answer.id: answer.result for answer in server.prediction.PredictStream(iter([SETTINGS, *items]))}
    assert found.keys() == {item.item.id for item in items}
    assert found["good"].prediction == found["good again"].prediction
    assert len(found["good"].prediction.top) == 1
    assert found["good"].model_used == MODEL
    assert [found[name].error.field for name in ("broken", "empty", "x" * 201)] == ["image", "image", "id"]


@pytest.mark.parametrize(
    ("messages", "code", "field"),
    [
        ([], grpc.StatusCode.INVALID_ARGUMENT, "settings"),
        ([an_item("a", b"x")], grpc.StatusCode.INVALID_ARGUMENT, "settings"),
        ([SETTINGS, SETTINGS], grpc.StatusCode.INVALID_ARGUMENT, "item"),
        (
            [pb.PredictStreamRequest(settings=pb.PredictStreamSettings(model="x", top_k=-1))],
            grpc.StatusCode.INVALID_ARGUMENT,
            "settings.top_k",
        ),
        (
            [pb.PredictStreamRequest(settings=pb.PredictStreamSettings(model="models/none@a"))],
            grpc.StatusCode.NOT_FOUND,
            "",
        ),
    ],
    ids=["nothing", "no settings", "settings twice", "wrong settings", "unknown model"],
)
def test_a_stream_that_is_wrong_as_a_whole_ends_with_the_reason(
    server: RunningServer, messages: list[pb.PredictStreamRequest], code: grpc.StatusCode, field: str
) -> None:
    refused = refusal(lambda: list(server.prediction.PredictStream(iter(messages), timeout=60)))
    assert refused.code is code
    assert not field or field in refused.fields


def test_garbage_in_mid_stream_is_an_invalid_argument(server: RunningServer, content: bytes) -> None:
    rpc = server.channel.stream_stream("/learnfleet.v1.PredictionService/PredictStream")
    messages = [SETTINGS.SerializeToString(), an_item("a", content).SerializeToString(), b"\xff\xff\xff\xff"]
    assert refusal(lambda: list(rpc(iter(messages), timeout=60))).code is grpc.StatusCode.INVALID_ARGUMENT


def test_so_many_items_are_worked_on_at_a_time_and_a_full_queue_is_waited_for(tmp_path: Path, pictures: Path) -> None:
    inference = Gated()
    many = 5 * _IN_FLIGHT

    def messages() -> Iterator[pb.PredictStreamRequest]:
        yield SETTINGS
        yield from (an_item(str(number), b"picture") for number in range(many))

    with running_server(tmp_path, pictures, inference=inference) as server:
        answers = server.prediction.PredictStream(messages(), timeout=60)
        assert inference.full.wait(30)
        server.loop.call_soon_threadsafe(inference.gate.set)
        assert sorted(int(answer.id) for answer in answers) == list(range(many))
        assert inference.most_begun == _IN_FLIGHT
        assert inference.refusals == 0


def test_a_stream_that_its_caller_leaves_is_not_worked_on(tmp_path: Path, pictures: Path) -> None:
    ended = threading.Event()

    class Watched(Gated):
        async def infer(
            self, model: str, inputs: Sequence[Input], options: InferOptions, timeout_s: float | None = None
        ) -> Reply:
            try:
                return await super().infer(model, inputs, options, timeout_s)
            except asyncio.CancelledError:
                ended.set()
                raise

    inference = Watched()
    inference.refusals = 0
    with running_server(tmp_path, pictures, inference=inference) as server:
        items = (an_item(str(number), b"picture") for number in range(_IN_FLIGHT))
        call = server.prediction.PredictStream(iter([SETTINGS, *items]), timeout=60)
        assert inference.full.wait(30)
        call.cancel()
        assert ended.wait(30)
