"""A learner that was trained a moment ago answers through every door: each RPC, and the Open Inference Protocol."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import grpc
import numpy as np
import pytest

from learnfleet.client import Client, ImageDataBunch, NotFoundError, PictureError, Prediction
from learnfleet.oip import inference_pb2 as pb
from learnfleet.oip import inference_pb2_grpc
from learnfleet.server.commands.local_server import LocalServer
from learnfleet.server.rpc.oip.tensors import framed

CHAMPION = "models/served@champion"
Stub = inference_pb2_grpc.GRPCInferenceServiceStub


@pytest.fixture(scope="module")
def version(client: Client) -> str:
    """Of a model that has seen digits once."""
    data = ImageDataBunch.from_folder("digits", size=32, bs=32)
    learn = client.cnn_learner(data, "squeezenet1_1", pretrained=False, name="served")
    learn.fit(1, 1e-3)
    return learn.export("served", aliases=["champion"]).name


@pytest.fixture(scope="module")
def stub(server: LocalServer) -> Iterator[Stub]:
    with grpc.insecure_channel(server.address) as channel:
        yield Stub(channel)


@pytest.fixture(scope="module")
def digits(pictures: Path) -> list[Path]:
    return sorted((pictures / "digits" / "valid").rglob("*.png"))[:40]


def test_version_alias_and_learner_say_the_same(client: Client, version: str, digits: list[Path]) -> None:
    alone = client.predict(CHAMPION, digits[0], outputs=["logits", "embedding", "activated"])
    assert alone.model_used == version
    assert alone.probabilities == pytest.approx(client.predict("learners/served", digits[0]).probabilities, rel=1e-4)
    assert alone.logits is not None
    assert alone.activated is not None
    assert alone.embedding is not None
    exponents = np.exp(alone.logits.numpy())
    assert exponents / exponents.sum() == pytest.approx(np.array(alone.probabilities), rel=1e-3)
    assert alone.activated.tolist() == pytest.approx(alone.probabilities, rel=1e-4)
    assert alone.embedding.ndim == 1
    with pytest.raises(NotFoundError):
        client.predict("models/served@none", digits[0])


def test_batches_and_streams_say_of_each_picture_what_is_said_of_it_alone(
    client: Client, version: str, digits: list[Path]
) -> None:
    expected = {path: client.predict(version, path).probabilities for path in digits[:5]}
    batch = client.predict_batch(version, [*digits, b"no picture"])
    stream = dict(client.predict_stream(version, [*digits, b"no picture"]))
    for path, probabilities in expected.items():
        for answer in (batch[digits.index(path)], stream[path]):
            assert isinstance(answer, Prediction)
            assert answer.probabilities == pytest.approx(probabilities, rel=1e-3, abs=1e-6)
            assert answer.model_used == version
    assert isinstance(batch[-1], PictureError)
    assert isinstance(stream[b"no picture"], PictureError)
    assert len(stream) == len(batch) == 41
    assert (
        max(answer.timings.batch_size for answer in batch[:-1] if isinstance(answer, Prediction) and answer.timings) > 1
    )


def test_the_open_inference_protocol_answers_for_the_version(
    client: Client, stub: Stub, version: str, digits: list[Path]
) -> None:
    stub.RepositoryModelLoad(pb.RepositoryModelLoadRequest(model_name="served@champion"), timeout=60)
    assert stub.ModelReady(pb.ModelReadyRequest(name="served@champion"), timeout=60).ready
    metadata = stub.ModelMetadata(pb.ModelMetadataRequest(name="served"), timeout=60)
    assert version.endswith(f"/{metadata.versions[0]}")
    assert list(metadata.outputs[0].shape) == [-1, 10]
    contents = [path.read_bytes() for path in digits[:2]]
    given = pb.ModelInferRequest.InferInputTensor(name="image", datatype="BYTES", shape=[2])
    request = pb.ModelInferRequest(model_name="served", inputs=[given], raw_input_contents=[framed(contents)])
    answer = stub.ModelInfer(request, timeout=60)
    found = np.frombuffer(answer.raw_output_contents[0], "<f4").reshape(2, 10)
    for row, path in zip(found, digits, strict=False):
        assert row == pytest.approx(np.array(client.predict(version, path).probabilities), rel=1e-3, abs=1e-6)
    size = list(metadata.inputs[1].shape[1:])
    pixels = pb.ModelInferRequest.InferInputTensor(name="pixels", datatype="FP32", shape=[1, *size])
    zeros = pb.ModelInferRequest(
        model_name="served", inputs=[pixels], raw_input_contents=[np.zeros(size, "<f4").tobytes()]
    )
    answer = stub.ModelInfer(zeros, timeout=60)
    assert np.frombuffer(answer.raw_output_contents[0], "<f4").sum() == pytest.approx(1, rel=1e-3)


def test_a_version_predicts_a_data_set_as_its_learner_does(client: Client, version: str) -> None:
    preds, targets = client.get_preds(version)
    own, own_targets = client.learner("learners/served").get_preds()
    assert np.allclose(preds.numpy(), own.numpy(), rtol=1e-3, atol=1e-6)
    assert targets.tolist() == own_targets.tolist()
