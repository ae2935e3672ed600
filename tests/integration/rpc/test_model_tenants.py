"""A registered model that is another tenant's, or nobody's, is for every RPC one that does not exist."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import pytest
from support.rpc_server import FakeRuntime, RunningServer, refusal, running_server
from support.stand_in_inference import FixedInference

from learnfleet.oip import inference_pb2, inference_pb2_grpc
from learnfleet.server.errors import NotFound
from learnfleet.server.rpc.ports import ExplainOptions, Explanation, FoundModel
from learnfleet.server.rpc.tenants import METADATA_KEY
from learnfleet.server.store.sql import SqlStore
from learnfleet.v1 import interpretation_service_pb2, prediction_service_pb2

ALIAS, VERSION, NOBODYS, OWN = "models/reds@newest", "models/reds/versions/1", "models/waif@newest", "models/blues@best"
RED, BLUE = ([(METADATA_KEY, name)] for name in ("red", "blue"))
PICTURE = b"x"
Call = Callable[[], object]


class Guarded(FakeRuntime):
    """What no call of another tenant's may come to."""

    async def find_model(self, model: str) -> FoundModel:
        raise AssertionError(f"{model} was looked for")

    async def explain(self, model: str, image: bytes, options: ExplainOptions) -> Explanation:
        raise AssertionError(f"{model} was asked")


class Registered(FixedInference):
    """Knows the models that have an owner, or none; others are not there."""

    async def owner(self, model: str) -> str | None:
        if model not in self.owners:
            raise NotFound(model.split("@")[0], "export a learner to make it")
        return self.owners[model]


@pytest.fixture
def server(tmp_path: Path, root: Path) -> Iterator[RunningServer]:
    owners: dict[str, str | None] = {VERSION: "red", ALIAS: "red", NOBODYS: None, OWN: "blue"}
    store = SqlStore(f"sqlite:///{tmp_path / 'learnfleet.db'}")
    inference = Registered(owners=owners)
    with running_server(tmp_path, root, store=store, runtime=Guarded(store), inference=inference) as running:
        yield running


def calls(server: RunningServer, model: str, who: list[tuple[str, str]]) -> dict[str, Call]:
    """Every call of learnfleet's own services that names a registered model."""
    pb, examining = prediction_service_pb2, interpretation_service_pb2
    ask = {"timeout": 20, "metadata": who}
    stream = [pb.PredictStreamRequest(settings=pb.PredictStreamSettings(model=model))]
    compare = examining.CompareVersionsRequest
    return {
        "Predict": lambda: server.prediction.Predict(pb.PredictRequest(model=model, image=PICTURE), **ask),
        "PredictBatch": lambda: server.prediction.PredictBatch(
            pb.PredictBatchRequest(model=model, inputs=[pb.Input(image=PICTURE)]), **ask
        ),
        "PredictStream": lambda: list(server.prediction.PredictStream(iter(stream), **ask)),
        "GetPreds": lambda: server.prediction.GetPreds(pb.GetPredsRequest(model=model), **ask),
        "Interpret": lambda: server.interpretation.Interpret(examining.InterpretRequest(model=model), **ask),
        "CompareVersions, candidate": lambda: server.interpretation.CompareVersions(
            compare(baseline=OWN, candidate=model), **ask
        ),
        "CompareVersions, baseline": lambda: server.interpretation.CompareVersions(
            compare(baseline=model, candidate=OWN), **ask
        ),
        "ExplainPrediction": lambda: server.interpretation.ExplainPrediction(
            examining.ExplainPredictionRequest(model=model, image=PICTURE), **ask
        ),
    }


@pytest.mark.parametrize("model", [VERSION, ALIAS, NOBODYS])
def test_another_tenants_model_is_told_of_as_one_that_does_not_exist(server: RunningServer, model: str) -> None:
    for rpc, call in calls(server, model, BLUE).items():
        refused = refusal(call)
        told = f"{model.split('@')[0].split('/versions')[0]} does not exist; export a learner to make it"
        assert (refused.code, refused.message) == (grpc.StatusCode.NOT_FOUND, told), rpc
    assert isinstance(server.inference, FixedInference)
    assert server.inference.asked == []


def test_a_model_that_is_nowhere_is_told_of_in_the_same_words(server: RunningServer) -> None:
    for rpc, call in calls(server, "models/none@newest", BLUE).items():
        assert refusal(call).message == "models/none does not exist; export a learner to make it", rpc


def test_its_own_tenant_is_answered(server: RunningServer) -> None:
    pb = prediction_service_pb2
    for model, who in ((VERSION, RED), (OWN, BLUE)):
        answer = server.prediction.Predict(pb.PredictRequest(model=model, image=PICTURE), timeout=20, metadata=who)
        assert answer.model_used == model


def test_in_the_open_inference_protocol_it_is_not_ready_and_not_there(server: RunningServer) -> None:
    pb, stub = inference_pb2, inference_pb2_grpc.GRPCInferenceServiceStub(server.channel)
    for name, version in (("reds", ""), ("reds", "1"), ("reds@newest", ""), ("waif", "")):
        request = pb.ModelReadyRequest(name=name, version=version)
        assert not stub.ModelReady(request, timeout=20, metadata=BLUE).ready, name
    assert stub.ModelReady(pb.ModelReadyRequest(name="reds"), timeout=20, metadata=RED).ready
    asked: list[tuple[Callable[..., object], object]] = [
        (stub.ModelMetadata, pb.ModelMetadataRequest(name="reds")),
        (stub.ModelInfer, pb.ModelInferRequest(model_name="reds")),
        (stub.ModelInfer, pb.ModelInferRequest(model_name="waif")),
        (stub.RepositoryModelLoad, pb.RepositoryModelLoadRequest(model_name="reds")),
        (stub.RepositoryModelLoad, pb.RepositoryModelLoadRequest(repository_name="reds")),
        (stub.RepositoryModelUnload, pb.RepositoryModelUnloadRequest(model_name="reds")),
    ]
    for rpc, request in asked:
        refused = refusal(lambda rpc=rpc, request=request: rpc(request, timeout=20, metadata=BLUE))  # type: ignore[misc]
        assert refused.code is grpc.StatusCode.NOT_FOUND, request
