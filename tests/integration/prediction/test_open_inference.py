"""The Open Inference Protocol, by stubs of it: what goes in, what comes out, and what is refused by which name."""

from __future__ import annotations

import json
import random
import struct

import grpc
import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from support.exported_learners import SIDE
from support.rpc_server import RunningServer, refusal
from support.served_models import MASKS, MODEL

from learnfleet.oip import inference_pb2 as pb
from learnfleet.oip import inference_pb2_grpc
from learnfleet.server.rpc.oip.tensors import framed
from learnfleet.trainer.predictor import Predictor

INVALID = grpc.StatusCode.INVALID_ARGUMENT
Input = pb.ModelInferRequest.InferInputTensor
Wanted = pb.ModelInferRequest.InferRequestedOutputTensor
PIXELS = 3 * SIDE * SIDE


@pytest.fixture(scope="module")
def stub(server: RunningServer) -> inference_pb2_grpc.GRPCInferenceServiceStub:
    return inference_pb2_grpc.GRPCInferenceServiceStub(server.channel)


def of_files(*contents: bytes, **fields: object) -> pb.ModelInferRequest:
    """A request about picture files, as Triton's clients make it."""
    given = Input(name="image", datatype="BYTES", shape=[len(contents)])
    return pb.ModelInferRequest(
        **{"model_name": "pets", "inputs": [given], **fields}, raw_input_contents=[framed(contents)]
    )


def floats(response: pb.ModelInferResponse, place: int = 0) -> np.ndarray:
    shape = tuple(response.outputs[place].shape)
    return np.frombuffer(response.raw_output_contents[place], "<f4").reshape(shape)


def test_files_give_the_probabilities_of_the_model_itself(
    stub: inference_pb2_grpc.GRPCInferenceServiceStub, models: dict[str, Predictor], content: bytes
) -> None:
    expected = models[MODEL].predict(content)[2].numpy()
    for name, version in (("pets", ""), ("pets", "3"), ("pets@champion", "")):
        answer = stub.ModelInfer(of_files(content, content, model_name=name, model_version=version, id="7"), timeout=60)
        assert (answer.model_name, answer.model_version, answer.id) == (name, "3", "7")
        assert [(output.name, output.datatype) for output in answer.outputs] == [("probabilities", "FP32")]
        assert np.allclose(floats(answer), [expected, expected], rtol=1e-4)


def test_contents_in_the_message_are_the_same_as_raw_ones(
    stub: inference_pb2_grpc.GRPCInferenceServiceStub, models: dict[str, Predictor], content: bytes
) -> None:
    pixels = models[MODEL].transform.pixels(content)
    flat = pixels.flatten().tolist()
    given = [
        (Input(name="image", datatype="BYTES", shape=[1], contents={"bytes_contents": [content]}), []),
        (Input(name="pixels", datatype="UINT8", shape=[1, *pixels.shape], contents={"uint_contents": flat}), []),
        (Input(name="pixels", datatype="UINT8", shape=[1, *pixels.shape]), [pixels.numpy().tobytes()]),
    ]
    expected = models[MODEL].predict(content)[2].numpy()
    for tensor, raw in given:
        request = pb.ModelInferRequest(model_name="pets", inputs=[tensor], raw_input_contents=raw)
        assert np.allclose(floats(stub.ModelInfer(request, timeout=60))[0], expected, rtol=1e-4)
    x = models[MODEL].transform([content])
    for contents, raw in (({"fp32_contents": x.flatten().tolist()}, []), ({}, [x.numpy().tobytes()])):
        tensor = Input(name="pixels", datatype="FP32", shape=x.shape, **({"contents": contents} if contents else {}))
        request = pb.ModelInferRequest(model_name="pets", inputs=[tensor], raw_input_contents=raw)
        assert np.allclose(floats(stub.ModelInfer(request, timeout=60))[0], expected, rtol=1e-2)


def test_several_outputs_come_in_the_order_asked_for_and_classification_is_text(
    stub: inference_pb2_grpc.GRPCInferenceServiceStub, models: dict[str, Predictor], content: bytes
) -> None:
    top = Wanted(name="probabilities", parameters={"classification": pb.InferParameter(int64_param=2)})
    answer = stub.ModelInfer(of_files(content, outputs=[top, Wanted(name="logits")]), timeout=60)
    assert [(output.name, output.datatype, list(output.shape)) for output in answer.outputs] == [
        ("probabilities", "BYTES", [1, 2]),
        ("logits", "FP32", [1, 3]),
    ]
    probabilities = models[MODEL].predict(content)[2]
    best = int(probabilities.argmax())
    length = struct.unpack_from("<I", answer.raw_output_contents[0])[0]
    score, index, label = answer.raw_output_contents[0][4 : 4 + length].decode().split(":")
    assert (int(index), label) == (best, models[MODEL].classes[best])
    assert float(score) == pytest.approx(float(probabilities[best]), abs=1e-4)


def test_its_parameters_are_heeded(
    stub: inference_pb2_grpc.GRPCInferenceServiceStub, models: dict[str, Predictor], content: bytes
) -> None:
    answer = stub.ModelInfer(of_files(content, parameters={"tta": pb.InferParameter(bool_param=True)}), timeout=60)
    assert np.allclose(floats(answer)[0], models[MODEL].predict(content, tta=True)[2].numpy(), rtol=1e-4)


def test_masks_come_as_pngs_and_as_probabilities(
    stub: inference_pb2_grpc.GRPCInferenceServiceStub, models: dict[str, Predictor], content: bytes
) -> None:
    outputs = [Wanted(name="mask"), Wanted(name="probabilities")]
    answer = stub.ModelInfer(of_files(content, model_name="masks", model_version="1", outputs=outputs), timeout=60)
    assert answer.raw_output_contents[0][4:8] == b"\x89PNG"
    assert np.allclose(floats(answer, 1)[0], models[MASKS].predict(content)[2].numpy(), rtol=1e-3, atol=1e-5)


def test_metadata_say_what_goes_in_and_comes_out(stub: inference_pb2_grpc.GRPCInferenceServiceStub) -> None:
    server = stub.ServerMetadata(pb.ServerMetadataRequest(), timeout=60)
    assert (server.name, list(server.extensions)) == ("learnfleet", ["classification"])
    model = stub.ModelMetadata(pb.ModelMetadataRequest(name="pets"), timeout=60)
    assert (model.name, list(model.versions), model.platform) == ("pets", ["3"], "learnfleet")
    assert [(each.name, each.datatype, list(each.shape)) for each in model.inputs] == [
        ("image", "BYTES", [-1]),
        ("pixels", "FP32", [-1, 3, SIDE, SIDE]),
    ]
    assert (model.outputs[0].name, list(model.outputs[0].shape)) == ("probabilities", [-1, 3])
    assert json.loads(model.properties["classes"]) == ["ant", "bee", "wasp"]


def test_a_model_is_ready_when_it_is_loaded_and_an_unknown_one_is_not(
    stub: inference_pb2_grpc.GRPCInferenceServiceStub,
) -> None:
    def is_ready(name: str, version: str = "") -> bool:
        return bool(stub.ModelReady(pb.ModelReadyRequest(name=name, version=version), timeout=60).ready)

    stub.RepositoryModelLoad(pb.RepositoryModelLoadRequest(model_name="pets"), timeout=60)
    assert is_ready("pets")
    assert is_ready("pets", "3")
    stub.RepositoryModelUnload(pb.RepositoryModelUnloadRequest(model_name="pets"), timeout=60)
    assert not is_ready("pets")
    loaded = stub.RepositoryModelLoad(pb.RepositoryModelLoadRequest(repository_name="pets"), timeout=60)  # KServe's
    assert (loaded.model_name, loaded.is_loaded) == ("pets", True)
    assert not any(is_ready(name, version) for name, version in (("none", ""), ("pets", "9"), ("a/b", ""), ("", "")))
    assert stub.ServerLive(pb.ServerLiveRequest(), timeout=60).live
    assert stub.ServerReady(pb.ServerReadyRequest(), timeout=60).ready


@pytest.mark.parametrize(("name", "version"), [("none", ""), ("pets", "9"), ("pets@none", "")])
def test_an_unknown_model_is_not_found(
    stub: inference_pb2_grpc.GRPCInferenceServiceStub, content: bytes, name: str, version: str
) -> None:
    request = of_files(content, model_name=name, model_version=version)
    assert refusal(lambda: stub.ModelInfer(request, timeout=60)).code is grpc.StatusCode.NOT_FOUND
    asked = pb.ModelMetadataRequest(name=name, version=version)
    assert refusal(lambda: stub.ModelMetadata(asked, timeout=60)).code is grpc.StatusCode.NOT_FOUND


def image(**fields: object) -> list[Input]:
    return [Input(**{"name": "image", "datatype": "BYTES", "shape": [1], **fields})]


def pixels(**fields: object) -> list[Input]:
    return [Input(**{"name": "pixels", "datatype": "FP32", "shape": [1, 3, SIDE, SIDE], **fields})]


def parameter(name: str, **value: object) -> dict[str, object]:
    return {"parameters": {name: pb.InferParameter(**value)}}


WRONG: dict[str, tuple[dict[str, object], str, str]] = {
    "no input": ({}, "inputs", "must have one"),
    "two inputs": ({"inputs": image() + image()}, "inputs", "must have one"),
    "unknown input": ({"inputs": image(name="x")}, "inputs[0].name", "'image'"),
    "datatype": ({"inputs": image(datatype="FP32"), "raw_input_contents": [b"x"]}, "inputs[0].datatype", "BYTES"),
    "datatype of pixels": ({"inputs": pixels(datatype="FP64")}, "inputs[0].datatype", "FP32"),
    "shape": ({"inputs": image(shape=[1, 1]), "raw_input_contents": [b""]}, "inputs[0].shape", "[n]"),
    "huge shape": ({"inputs": image(shape=[2**62]), "raw_input_contents": [b""]}, "inputs[0].shape", "1 to 1024"),
    "empty": ({"inputs": image(shape=[0]), "raw_input_contents": [b""]}, "inputs[0].shape", "1 to 1024"),
    "one channel": ({"inputs": pixels(shape=[1, 1, SIDE, SIDE])}, "inputs[0].shape", "[n, 3, height, width]"),
    "huge sides": ({"inputs": pixels(shape=[1, 3, 2**40, 2**40])}, "inputs[0].shape", "4096"),
    "too few numbers": (
        {"inputs": pixels(), "raw_input_contents": [bytes(4 * PIXELS - 4)]},
        "raw_input_contents[0]",
        f"have {4 * PIXELS}",
    ),
    "both forms": (
        {"inputs": image(contents={"bytes_contents": [b"x"]}), "raw_input_contents": [framed([b"x"])]},
        "raw_input_contents",
        "one of the two",
    ),
    "raw for two": ({"inputs": image(), "raw_input_contents": [b"", b""]}, "raw_input_contents", "which is one"),
    "length past the end": (
        {"inputs": image(), "raw_input_contents": [struct.pack("<I", 9) + b"12345678"]},
        "raw_input_contents[0]",
        "where 8 are left",
    ),
    "half a length": (
        {"inputs": image(), "raw_input_contents": [framed([b"x"]) + b"\1\0"]},
        "raw_input_contents[0]",
        "within the length of element 1",
    ),
    "element too many": (
        {"inputs": image(), "raw_input_contents": [framed([b"x", b"y"])]},
        "raw_input_contents[0]",
        "says 1",
    ),
    "endless elements": ({"inputs": image(), "raw_input_contents": [bytes(2**20)]}, "raw_input_contents[0]", "1024"),
    "empty file": ({"inputs": image(), "raw_input_contents": [framed([b""])]}, "raw_input_contents[0][0]", "is empty"),
    "another contents field": (
        {"inputs": image(contents={"fp32_contents": [1.0]})},
        "inputs[0].contents.fp32_contents",
        "bytes_contents",
    ),
    "byte above 255": (
        {"inputs": pixels(datatype="UINT8", shape=[1, 3, 1, 1], contents={"uint_contents": [1, 2, 256]})},
        "inputs[0].contents.uint_contents",
        "255",
    ),
    "not finite": (
        {"inputs": pixels(shape=[1, 3, 1, 1], contents={"fp32_contents": [1, 2, float("inf")]})},
        "inputs[0].contents",
        "infinite",
    ),
    "other size": (
        {"inputs": pixels(shape=[1, 3, 1, 1], contents={"fp32_contents": [1, 2, 3]})},
        "inputs[0][0]",
        "cannot be predicted",
    ),
    "no picture": (
        {"inputs": image(), "raw_input_contents": [framed([b"no picture"])]},
        "inputs[0][0]",
        "cannot be predicted",
    ),
    "shared memory": (
        {"inputs": image(parameters={"shared_memory_region": pb.InferParameter(string_param="x")})},
        "inputs[0].parameters[shared_memory_region]",
        "not offered",
    ),
    "unknown output": ({"inputs": image(), "outputs": [Wanted(name="x")]}, "outputs[0].name", "probabilities"),
    "classes of an embedding": (
        {"outputs": [Wanted(name="embedding", parameters={"classification": pb.InferParameter(int64_param=1)})]},
        "outputs[0].parameters[classification]",
        "only for",
    ),
    "no classes": (
        {"outputs": [Wanted(name="logits", parameters={"classification": pb.InferParameter(int64_param=0)})]},
        "outputs[0].parameters[classification]",
        "at least 1",
    ),
    "unknown parameter": (parameter("treshold", double_param=1), "parameters[treshold]", "tta"),
    "parameter of another type": (parameter("tta", string_param="yes"), "parameters[tta]", "a truth value"),
    "parameter without a value": (parameter("thresh"), "parameters[thresh]", "a number"),
    "thresh": (parameter("thresh", double_param=2), "parameters[thresh]", "from 0 to 1"),
    "name": ({"model_name": "a/b"}, "model_name", "must be a model's name"),
    "version": ({"model_version": "latest"}, "model_version", "versions/{version}"),
    "version of an alias": ({"model_name": "pets@a", "model_version": "1"}, "model_version", "must be empty"),
}


@pytest.mark.parametrize(("change", "field", "told"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_named(
    stub: inference_pb2_grpc.GRPCInferenceServiceStub, change: dict[str, object], field: str, told: str
) -> None:
    request = pb.ModelInferRequest(**{"model_name": "pets", **change})  # type: ignore[arg-type]
    refused = refusal(lambda: stub.ModelInfer(request, timeout=60))
    assert refused.code is INVALID
    assert told in refused.violations[field]


def test_random_data_are_an_invalid_argument_always(stub: inference_pb2_grpc.GRPCInferenceServiceStub) -> None:
    chance = random.Random(5)
    for _ in range(60):
        raw = chance.randbytes(chance.randrange(200))
        name, datatype = chance.choice(["image", "pixels"]), chance.choice(["BYTES", "FP32", "UINT8", ""])
        shape = [chance.randrange(-2, 5) for _ in range(chance.randrange(5))]
        given = Input(name=name, datatype=datatype, shape=shape)
        request = pb.ModelInferRequest(model_name="pets", inputs=[given], raw_input_contents=[raw])
        assert refusal(lambda request=request: stub.ModelInfer(request, timeout=60)).code is INVALID  # type: ignore[misc]


def test_other_rpcs_of_triton_are_refused_with_what_to_do(server: RunningServer) -> None:
    for name, told in (("ModelConfig", "ModelMetadata"), ("SystemSharedMemoryRegister", "send the data")):
        call = server.channel.unary_unary(f"/inference.GRPCInferenceService/{name}")
        refused = refusal(lambda call=call: call(b"", timeout=60))  # type: ignore[misc]
        assert refused.code is grpc.StatusCode.UNIMPLEMENTED
        assert told in refused.message
    stream = server.channel.stream_stream("/inference.GRPCInferenceService/ModelStreamInfer")
    assert "PredictStream" in refusal(lambda: list(stream(iter([]), timeout=60))).message


def test_its_health_is_told_as_that_of_every_service(server: RunningServer) -> None:
    request = health_pb2.HealthCheckRequest(service="inference.GRPCInferenceService")
    assert health_pb2_grpc.HealthStub(server.channel).Check(request, timeout=60).status == 1
