"""What users of the client and the command line see of predictions."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from support.rpc_server import RunningServer, running_server
from support.served_models import MODEL
from support.stand_in_inference import FixedInference
from support.tcp_proxy import proxy_to

from learnfleet.client import (
    Client,
    InvalidArgumentError,
    NotFoundError,
    PictureError,
    Prediction,
    ResourceExhaustedError,
)
from learnfleet.client.aio import AsyncClient
from learnfleet.server.inference.ports import Array, InferOptions, Input, Output, Reply
from learnfleet.trainer.predictor import Predictor

MAIN = "from learnfleet.client.cli.main import main; main()"


def test_whatever_a_picture_is_given_as_it_is_the_same(
    client: Client, models: dict[str, Predictor], pictures: Path
) -> None:
    path = pictures / "secret" / "1.png"
    pixels = models[MODEL].transform.pixels(path)
    expected = client.predict(MODEL, path).probabilities
    for item in (path.read_bytes(), str(path), Image.open(path), pixels, pixels.numpy()):
        assert client.predict(MODEL, item).probabilities == pytest.approx(expected, rel=1e-4)


def test_a_picture_of_a_data_set_is_named_by_where_it_lies_in_it(client: Client, content: bytes) -> None:
    album = client.datasets.register("secret", "album")
    expected = client.predict(MODEL, content).probabilities
    for item in ("dataset://album/0.png", "dataset://album/versions/1/0.png", album / "0.png"):
        assert client.predict(MODEL, item).probabilities == pytest.approx(expected, rel=1e-4)
    first, missing = client.predict_batch(MODEL, [album / "0.png", album / "none.png"])
    assert isinstance(first, Prediction)
    assert "file.path" in str(missing)
    with pytest.raises(InvalidArgumentError, match=r"file\.dataset"):
        client.predict(MODEL, "dataset://nobody/0.png")


@pytest.mark.parametrize("item", [3.5, np.zeros((4, 4)), torch.zeros(3, 4, 4, dtype=torch.float64), object()])
def test_what_is_no_picture_is_a_type_error_that_says_what_is_one(client: Client, item: object) -> None:
    with pytest.raises(TypeError, match="give a path"):
        client.predict(MODEL, item)


def test_outputs_and_timings_come_with_a_prediction(client: Client, content: bytes) -> None:
    found = client.predict(MODEL, content, outputs=["logits", "activated"])
    assert found.logits is not None
    assert found.logits.numpy().argmax() == found.index
    assert found.activated is not None
    assert found.activated.tolist() == pytest.approx(found.probabilities, rel=1e-4)
    assert found.embedding is None
    assert found.timings is not None
    assert found.timings.batch_size == 1
    with pytest.raises(ValueError, match="there are logits, embedding, activated"):
        client.predict(MODEL, content, outputs=["logit"])


def test_a_batch_has_an_answer_for_each_picture_and_an_error_in_the_place_of_a_bad_one(
    client: Client, content: bytes, tmp_path: Path
) -> None:
    first, broken, missing, last = client.predict_batch(MODEL, [content, content[:40], tmp_path / "none.png", content])
    assert isinstance(first, Prediction)
    assert first == last or first.probabilities == last.probabilities  # timings differ
    assert isinstance(broken, PictureError)
    assert "image" in str(broken)
    assert isinstance(missing, PictureError)
    assert "No such file" in str(missing)
    assert client.predict_batch(MODEL, []) == []
    with pytest.raises(NotFoundError):
        client.predict_batch("models/none@a", [content])


def test_a_batch_takes_as_many_calls_as_its_pictures_need(client: Client) -> None:
    large = bytes(9 * 2**20)  # no picture, and more than a message has room for together
    found = client.predict_batch(MODEL, [large] * 4)
    assert len(found) == 4
    assert all(isinstance(answer, PictureError) for answer in found)


class Verbose(FixedInference):
    """Has a megabyte of numbers to say of each picture."""

    async def infer(
        self, model: str, inputs: Sequence[Input], options: InferOptions, timeout_s: float | None = None
    ) -> Reply:
        reply = await super().infer(model, inputs, options, timeout_s)
        logits = {Output.LOGITS: Array((2**18,), bytes(2**20))}
        return replace(reply, items=tuple(replace(item, arrays=logits) for item in reply.items))


def test_answers_that_are_too_large_for_a_message_come_in_several(pictures: Path, tmp_path: Path) -> None:
    with (
        running_server(tmp_path, pictures, inference=Verbose(), max_message_mb=4) as server,
        Client.connect(server.address, max_message_mb=4) as client,
    ):
        found = client.predict_batch(MODEL, [b"picture"] * 10, outputs=["logits"])
        assert [answer.logits is not None for answer in found if isinstance(answer, Prediction)] == [True] * 10
        with pytest.raises(ResourceExhaustedError, match="max_message_mb"):
            client.predict(MODEL, bytes(5 * 2**20))


def test_a_folder_is_predicted_as_a_stream(client: Client, pictures: Path) -> None:
    found = dict(client.predict_stream(MODEL, pictures / "secret"))
    assert sorted(path.name for path in found) == [f"{number}.png" for number in range(6)]
    for path, answer in found.items():
        assert answer.probabilities == pytest.approx(client.predict(MODEL, path).probabilities, rel=1e-4)


def test_pictures_are_taken_as_the_answers_come(client: Client, content: bytes) -> None:
    taken = []

    def endless() -> Iterator[bytes]:
        while True:
            taken.append(1)
            yield content

    stream = client.predict_stream(MODEL, endless(), in_flight=4)
    for _ in range(10):
        assert isinstance(next(stream)[1], Prediction)
    stream.close()
    assert len(taken) <= 10 + 4 + 1


def test_what_the_callers_iterator_raises_is_raised(client: Client, content: bytes) -> None:
    def failing() -> Iterator[bytes]:
        yield content
        raise LookupError("the camera is gone")

    with pytest.raises(LookupError, match="the camera is gone"):
        list(client.predict_stream(MODEL, failing()))
    with pytest.raises(NotFoundError):
        list(client.predict_stream("models/none@a", [content]))


def test_a_stream_goes_on_after_a_lost_connection_and_answers_everything_once(
    server: RunningServer, content: bytes
) -> None:
    with proxy_to(server.address) as proxy, Client.connect(proxy.address, retry_s=30.0) as client:
        names = []
        for item, answer in client.predict_stream(MODEL, (content + bytes(n) for n in range(1, 41)), in_flight=8):
            assert isinstance(answer, Prediction)
            names.append(len(item) - len(content))
            if len(names) in (5, 20):
                proxy.reset()
    assert sorted(names) == list(range(1, 41))


def test_asyncio_has_the_same(server: RunningServer, content: bytes, pictures: Path) -> None:
    async def items() -> AsyncIterator[bytes]:
        for cut in (0, 50, 0):
            await asyncio.sleep(0)
            yield content[: len(content) - cut * 1000]

    async def act() -> None:
        async with AsyncClient.connect(server.address, retry_s=5.0) as client:
            expected = (await client.predict(MODEL, content)).probabilities
            found = [answer async for _, answer in client.predict_stream(MODEL, items())]
            good = [answer for answer in found if isinstance(answer, Prediction)]
            assert [answer.probabilities for answer in good] == [expected, expected]
            assert len(found) == 3
            batch = await client.predict_batch(MODEL, pictures / "secret")
            assert all(isinstance(answer, Prediction) for answer in batch)
            assert len(batch) == 6
            with pytest.raises(InvalidArgumentError):
                await client.predict(MODEL, b"no picture")
            with pytest.raises(LookupError):
                async for _ in client.predict_stream(MODEL, failing()):
                    pass

    async def failing() -> AsyncIterator[bytes]:
        yield content
        raise LookupError

    asyncio.run(act())


def run(server: RunningServer, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", MAIN, "predict", MODEL, *arguments, "--server", server.address]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def test_the_command_predicts_folders_and_tells_of_what_cannot_be_read(
    server: RunningServer, client: Client, pictures: Path, tmp_path: Path
) -> None:
    (tmp_path / "broken.png").write_bytes(b"no picture")
    done = run(server, str(pictures / "secret"), str(tmp_path / "broken.png"), "--json")
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 2
    assert f"error: {tmp_path / 'broken.png'}: image: is no picture" in done.stderr
    found = {row["file"]: row["prediction"]["class_name"] for row in rows if "prediction" in row}
    assert len(found) == 6
    assert all(name == client.predict(MODEL, path).class_name for path, name in found.items())
    shown = run(server, str(pictures / "secret" / "0.png"), "--top-k", "2")
    assert shown.returncode == 0
    assert found[str(pictures / "secret" / "0.png")] in shown.stdout
