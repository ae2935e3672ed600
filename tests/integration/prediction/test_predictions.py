"""Predictions over a real port by a real model, of every kind of input; of several pictures each fails for itself."""

from __future__ import annotations

import struct
from pathlib import Path

import grpc
import numpy as np
import pytest
from PIL import Image
from support.exported_learners import SIDE
from support.rpc_server import RunningServer, refusal, running_server
from support.served_models import MASKS, MODEL
from support.stand_in_inference import FixedInference

from learnfleet.server.errors import ResourceExhausted
from learnfleet.trainer.predictor import Predictor
from learnfleet.v1 import prediction_service_pb2 as pb


def a_tensor(content: bytes, model: Predictor) -> pb.Tensor:
    pixels = model.transform.pixels(content)
    return pb.Tensor(type=pb.TENSOR_TYPE_UINT8, shape=pixels.shape, content=pixels.numpy().tobytes())


def floats(array: pb.FloatArray) -> np.ndarray:
    return np.frombuffer(array.content, "<f4").reshape(tuple(array.shape))


def test_bytes_tensor_and_file_of_the_server_are_one_picture(
    server: RunningServer, models: dict[str, Predictor], content: bytes
) -> None:
    expected = models[MODEL].predict(content)[2].numpy()
    requests = [
        pb.PredictRequest(model="models/pets@champion", image=content),
        pb.PredictRequest(model=MODEL, tensor=a_tensor(content, models[MODEL])),
        pb.PredictRequest(model=MODEL, file=pb.ServerFile(path="secret/0.png")),
    ]
    for request in requests:
        answer = server.prediction.Predict(request, timeout=60)
        assert np.allclose(answer.prediction.probabilities, expected, rtol=1e-4)
        assert answer.prediction.class_index == expected.argmax()
        assert answer.model_used == MODEL
        assert answer.timings.batch_size == 1


def test_tta_and_top_k_are_those_of_the_model_itself(
    server: RunningServer, models: dict[str, Predictor], content: bytes
) -> None:
    plain, averaged = (models[MODEL].predict(content, tta=tta)[2].numpy() for tta in (False, True))
    assert not np.allclose(plain, averaged, rtol=1e-3)
    request = pb.PredictRequest(model=MODEL, image=content, tta=True, top_k=2)
    prediction = server.prediction.Predict(request, timeout=60).prediction
    assert np.allclose(prediction.probabilities, averaged, rtol=1e-4)
    best = np.argsort(-averaged)
    assert [each.class_index for each in prediction.top] == best[:2].tolist()
    assert [each.class_name for each in prediction.top] == [models[MODEL].classes[index] for index in best[:2]]
    request.ClearField("top_k")
    assert len(server.prediction.Predict(request, timeout=60).prediction.top) == len(best)


def test_where_the_time_went_is_told_and_a_full_queue_says_when_to_come_again(tmp_path: Path, pictures: Path) -> None:
    inference = FixedInference()
    with running_server(tmp_path, pictures, inference=inference) as server:
        request = pb.PredictBatchRequest(model=MODEL, inputs=[pb.Input(image=b"x")] * 2)
        timings = server.prediction.PredictBatch(request, timeout=60).results[1].timings
        spans = [span.ToTimedelta().total_seconds() for span in (timings.queue, timings.decode, timings.infer)]
        assert (spans, timings.batch_size) == ([0.1, 0.2, 0.3], 2)
        inference.error = ResourceExhausted("1024 items wait", 1.5)
        refused = refusal(lambda: server.prediction.PredictBatch(request, timeout=60))
        assert (refused.code, refused.retry_after_s) == (grpc.StatusCode.RESOURCE_EXHAUSTED, 1.5)


def test_outputs_come_where_they_are_asked_for(
    server: RunningServer, models: dict[str, Predictor], content: bytes
) -> None:
    request = pb.PredictRequest(model=MODEL, image=content, outputs=[pb.OUTPUT_LOGITS, pb.OUTPUT_ACTIVATED])
    prediction = server.prediction.Predict(request, timeout=60).prediction
    assert np.allclose(floats(prediction.logits), models[MODEL].logits([content])[0].numpy(), rtol=1e-4, atol=1e-5)
    assert np.allclose(floats(prediction.activated), prediction.probabilities, rtol=1e-4)
    assert not prediction.HasField("embedding")


def test_samples_with_dropout_come_beside_the_prediction(
    server: RunningServer, models: dict[str, Predictor], content: bytes
) -> None:
    request = pb.PredictRequest(model=MODEL, image=content, dropout_samples=3)
    prediction = server.prediction.Predict(request, timeout=60).prediction
    assert np.allclose(prediction.probabilities, models[MODEL].predict(content)[2].numpy(), rtol=1e-4)
    assert len({tuple(sample.probabilities) for sample in prediction.samples}) == 3
    assert all(sample.class_name in models[MODEL].classes for sample in prediction.samples)
    wrong = pb.PredictRequest(model=MODEL, image=content, dropout_samples=101)
    assert refusal(lambda: server.prediction.Predict(wrong, timeout=60)).fields == {"dropout_samples"}
    averaged = pb.PredictRequest(model=MODEL, image=content, dropout_samples=1, tta=True)
    assert refusal(lambda: server.prediction.Predict(averaged, timeout=60)).fields == {"dropout_samples"}


def test_a_mask_comes_as_a_png_of_class_indices(
    server: RunningServer, models: dict[str, Predictor], content: bytes, tmp_path: Path
) -> None:
    prediction = server.prediction.Predict(pb.PredictRequest(model=MASKS, image=content), timeout=60).prediction
    (tmp_path / "mask.png").write_bytes(prediction.mask)
    expected = models[MASKS].predict(content)[1][0].numpy()
    assert np.array_equal(np.asarray(Image.open(tmp_path / "mask.png")), expected)


def test_of_a_batch_each_picture_fails_alone_with_the_reason(server: RunningServer, content: bytes) -> None:
    too_large = pb.Input(image=bytes(20 * 2**20 + 1))
    wrong = pb.Tensor(type=pb.TENSOR_TYPE_UINT8, shape=[3, 4, 4], content=bytes(47))
    other_size = pb.Tensor(type=pb.TENSOR_TYPE_UINT8, shape=[3, 4, 4], content=bytes(48))
    not_finite = pb.Tensor(type=pb.TENSOR_TYPE_FLOAT32, shape=[3, 1, 1], content=struct.pack("<3f", 0, 1, float("nan")))
    inputs = [
        pb.Input(image=content),
        pb.Input(image=content[: len(content) // 2]),
        pb.Input(),
        pb.Input(tensor=wrong),
        pb.Input(tensor=other_size),
        pb.Input(tensor=not_finite),
        pb.Input(tensor=pb.Tensor(type=pb.TENSOR_TYPE_UINT8, shape=[1, 4, 4], content=bytes(16))),
        pb.Input(tensor=pb.Tensor(shape=[3, 4, 4], content=bytes(48))),
        pb.Input(file=pb.ServerFile(path="secret/none.png")),
        pb.Input(file=pb.ServerFile(path="../../etc/passwd")),
        pb.Input(file=pb.ServerFile(path="secret")),
        pb.Input(file=pb.ServerFile(dataset="datasets/none", path="x.png")),
        too_large,
        pb.Input(image=content),
    ]
    answer = server.prediction.PredictBatch(pb.PredictBatchRequest(model=MODEL, inputs=inputs), timeout=60)
    fields = [result.error.field for result in answer.results]
    assert fields == [
        "",
        "image",
        "image",
        "tensor.content",
        "tensor.shape",
        "tensor.content",
        "tensor.shape",
        "tensor.type",
        "file.path",
        "file.path",
        "file.path",
        "file.dataset",
        "image",
        "",
    ]
    first, *_, last = answer.results
    assert first.prediction == last.prediction
    assert first.model_used == MODEL
    assert all(result.error.code == 3 for result in answer.results if result.HasField("error"))


@pytest.mark.parametrize(
    ("request_", "field", "told"),
    [
        (pb.PredictBatchRequest(model=MODEL), "inputs", "at least one"),
        (pb.PredictBatchRequest(model=MODEL, inputs=[pb.Input(image=b"x")] * 10_000), "inputs", "PredictStream"),
        (pb.PredictBatchRequest(model=MODEL, inputs=[pb.Input(image=b"x")], outputs=[9]), "outputs[0]", "LOGITS"),
        (pb.PredictBatchRequest(model="pets", inputs=[pb.Input(image=b"x")]), "model", "models/{model}"),
        (pb.PredictBatchRequest(model=MODEL, inputs=[pb.Input(image=b"x")], thresh=2), "thresh", "from 0 to 1"),
    ],
    ids=["empty", "10,000 pictures", "output", "model", "thresh"],
)
def test_a_batch_that_is_wrong_as_a_whole_names_its_field(
    server: RunningServer, request_: pb.PredictBatchRequest, field: str, told: str
) -> None:
    refused = refusal(lambda: server.prediction.PredictBatch(request_, timeout=60))
    assert refused.code is grpc.StatusCode.INVALID_ARGUMENT
    assert told in refused.violations[field]


@pytest.mark.parametrize("image", [b"x", b""])
def test_an_unknown_model_is_not_found_whatever_the_pictures_are(server: RunningServer, image: bytes) -> None:
    for model in ("models/none/versions/1", "models/pets@none"):
        request = pb.PredictBatchRequest(model=model, inputs=[pb.Input(image=image)])
        assert refusal(lambda request=request: server.prediction.PredictBatch(request, timeout=60)).code is (  # type: ignore[misc]
            grpc.StatusCode.NOT_FOUND
        )


def test_a_tensor_of_another_size_is_refused_by_name(server: RunningServer) -> None:
    tensor = pb.Tensor(type=pb.TENSOR_TYPE_UINT8, shape=[3, SIDE + 1, SIDE], content=bytes(3 * (SIDE + 1) * SIDE))
    refused = refusal(lambda: server.prediction.Predict(pb.PredictRequest(model=MODEL, tensor=tensor), timeout=60))
    assert refused.fields == {"tensor.shape"}


def test_a_message_beyond_the_limit_is_refused_with_the_limit(server: RunningServer) -> None:
    inputs = [pb.Input(image=bytes(17 * 2**20))] * 2
    with pytest.raises(grpc.RpcError) as caught:
        server.prediction.PredictBatch(pb.PredictBatchRequest(model=MODEL, inputs=inputs), timeout=60)
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert str(32 * 2**20) in caught.value.details()
