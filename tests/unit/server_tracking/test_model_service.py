"""Models, versions and aliases over a real port and a real MLflow, by both clients and the command line."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import grpc
import pytest
from support.exported_models import export_job, register
from support.faults.servers import free_port
from support.grpcurl import examples
from support.rpc_server import RunningServer, refusal, running_server

from learnfleet.client import Client
from learnfleet.client.aio import AsyncClient
from learnfleet.client.errors import NotFoundError
from learnfleet.server.names import ModelRef
from learnfleet.server.rpc.tenants import METADATA_KEY
from learnfleet.server.tracking.registry import NoNews
from learnfleet.v1 import model_service_pb2 as pb
from learnfleet.v1.model_service_pb2_grpc import ModelServiceStub

Fill = Callable[..., None]


@pytest.fixture
def server(tmp_path: Path, empty_mlflow: Path) -> Iterator[RunningServer]:
    (tmp_path / "root").mkdir()
    shutil.copytree(empty_mlflow, tmp_path / "data" / "mlflow")
    with running_server(tmp_path, tmp_path / "root") as running:
        yield running


@pytest.fixture
def models(server: RunningServer) -> ModelServiceStub:
    """Of a registry with three versions of `pets` and one of `cars`."""
    for number in (1, 2, 3):
        aliases = {1: ("champion", "first"), 3: ("newest",)}.get(number, ())
        register(server.config, server.store, export_job(server.store, f"export-{number}", "cats", *aliases))
    register(server.config, server.store, export_job(server.store, "export-4", "cats", model_id="cars"))
    return ModelServiceStub(server.channel)


def test_models_their_versions_and_what_these_are_made_of_are_listed_in_pages(models: ModelServiceStub) -> None:
    first = models.ListModels(pb.ListModelsRequest(page_size=1), timeout=20)
    rest = models.ListModels(pb.ListModelsRequest(page_token=first.next_page_token), timeout=20)
    assert [model.name for model in [*first.models, *rest.models]] == ["models/cars", "models/pets"]
    assert rest.next_page_token == ""
    asked = pb.ListModelVersionsRequest(model="models/pets", page_size=2)
    newest = models.ListModelVersions(asked, timeout=20)
    asked.page_token = newest.next_page_token
    oldest = models.ListModelVersions(asked, timeout=20)
    versions = [*newest.versions, *oldest.versions]
    assert [version.name for version in versions] == [f"models/pets/versions/{number}" for number in (3, 2, 1)]
    assert [list(version.aliases) for version in versions] == [["newest"], [], ["champion", "first"]]
    one = models.GetModelVersion(pb.GetModelVersionRequest(name="models/pets@champion"), timeout=20)
    assert one == versions[2]
    assert (one.learner, one.job) == ("learners/cats", "jobs/export-1")
    assert one.checkpoint == "learners/cats/checkpoints/cats"
    assert one.mlflow_uri == "models:/pets/1"
    assert set(one.metrics) == {"train_loss", "valid_loss", "accuracy"}
    assert one.onnx.max_abs_difference < 1e-4


def test_the_line_of_the_page_moves_an_alias(server: RunningServer, models: ModelServiceStub) -> None:
    (line,) = examples(Path(__file__).parents[3] / "docs" / "exports.md")
    (moved,) = line.call(server.channel)
    assert (moved.name, list(moved.aliases)) == ("models/pets/versions/3", ["champion", "newest"])


def test_who_answers_for_a_model_is_told_of_an_alias_that_moved_before_the_call_returns(
    tmp_path: Path, empty_mlflow: Path
) -> None:
    told: list[str] = []

    class News(NoNews):
        def changed(self, model_id: str, made: Sequence[ModelRef] = ()) -> None:
            told.append(model_id)

    (tmp_path / "root").mkdir()
    shutil.copytree(empty_mlflow, tmp_path / "data" / "mlflow")
    with running_server(tmp_path, tmp_path / "root", news=News()) as server:
        register(server.config, server.store, export_job(server.store, "export-1", "cats"))
        stub = ModelServiceStub(server.channel)
        request = pb.SetModelAliasRequest(name="models/pets@best", version="models/pets/versions/1")
        stub.SetModelAlias(request, timeout=20)
        assert told == ["pets"]
        stub.DeleteModelAlias(pb.DeleteModelAliasRequest(name="models/pets@best"), timeout=20)
        assert told == ["pets", "pets"]


def test_an_alias_is_set_moved_and_removed(models: ModelServiceStub) -> None:
    for number in (2, 3):
        request = pb.SetModelAliasRequest(name="models/pets@champion", version=f"models/pets/versions/{number}")
        moved = models.SetModelAlias(request, timeout=20)
        assert (moved.name, "champion" in moved.aliases) == (request.version, True)
        model = models.GetModel(pb.GetModelRequest(name="models/pets"), timeout=20)
        assert model.aliases["champion"] == request.version
    assert model.aliases["first"] == "models/pets/versions/1"
    models.DeleteModelAlias(pb.DeleteModelAliasRequest(name="models/pets@champion"), timeout=20)
    gone = pb.GetModelVersionRequest(name="models/pets@champion")
    refused = refusal(lambda: models.GetModelVersion(gone, timeout=20))
    assert refused.code is grpc.StatusCode.NOT_FOUND
    assert "models/pets has the aliases first, newest" in refused.message


def test_wrong_requests_name_their_fields_and_what_is_not_there_is_not_found(models: ModelServiceStub) -> None:
    alias = "models/pets@champion"
    wrong = [
        (models.GetModel, pb.GetModelRequest(name="pets"), {"name"}),
        (models.GetModelVersion, pb.GetModelVersionRequest(name="models/pets"), {"name"}),
        (models.ListModels, pb.ListModelsRequest(page_size=-1), {"page_size"}),
        (models.ListModels, pb.ListModelsRequest(page_token="x"), {"page_token"}),
        (models.ListModelVersions, pb.ListModelVersionsRequest(model="x", page_size=-1), {"model", "page_size"}),
        (models.ListModelVersions, pb.ListModelVersionsRequest(model="models/pets", page_token="x"), {"page_token"}),
        (models.SetModelAlias, pb.SetModelAliasRequest(), {"name", "version"}),
        (models.SetModelAlias, pb.SetModelAliasRequest(name=alias, version="models/cars/versions/1"), {"version"}),
        (models.SetModelAlias, pb.SetModelAliasRequest(name=alias, version="models/pets@first"), {"version"}),
        (
            models.SetModelAlias,
            pb.SetModelAliasRequest(name="models/pets@v2", version="models/pets/versions/1"),
            {"name"},
        ),
        (models.DeleteModelAlias, pb.DeleteModelAliasRequest(name="models/pets/versions/1"), {"name"}),
    ]
    for call, request, fields in wrong:
        refused = refusal(lambda: call(request, timeout=20))  # noqa: B023
        assert (refused.code, refused.fields) == (grpc.StatusCode.INVALID_ARGUMENT, fields), request
    missing = [
        (models.GetModel, pb.GetModelRequest(name="models/none")),
        (models.GetModelVersion, pb.GetModelVersionRequest(name="models/pets/versions/9")),
        (models.ListModelVersions, pb.ListModelVersionsRequest(model="models/none")),
        (models.SetModelAlias, pb.SetModelAliasRequest(name=alias, version="models/pets/versions/9")),
        (models.DeleteModelAlias, pb.DeleteModelAliasRequest(name="models/pets@none")),
    ]
    for call, request in missing:
        assert refusal(lambda: call(request, timeout=20)).code is grpc.StatusCode.NOT_FOUND, request  # noqa: B023


def test_the_models_of_another_tenant_do_not_exist(server: RunningServer, models: ModelServiceStub) -> None:
    theirs = [(METADATA_KEY, "red")]
    assert not models.ListModels(pb.ListModelsRequest(), timeout=20, metadata=theirs).models
    move = pb.SetModelAliasRequest(name="models/pets@champion", version="models/pets/versions/2")
    calls = [
        (models.GetModel, pb.GetModelRequest(name="models/pets")),
        (models.GetModelVersion, pb.GetModelVersionRequest(name="models/pets@champion")),
        (models.ListModelVersions, pb.ListModelVersionsRequest(model="models/pets")),
        (models.SetModelAlias, move),
        (models.DeleteModelAlias, pb.DeleteModelAliasRequest(name="models/pets@champion")),
    ]
    for call, request in calls:
        code = refusal(lambda: call(request, timeout=20, metadata=theirs)).code  # noqa: B023
        assert code is grpc.StatusCode.NOT_FOUND, request
    kept = models.GetModelVersion(pb.GetModelVersionRequest(name="models/pets@champion"), timeout=20)
    assert kept.name == "models/pets/versions/1"


def test_both_clients_and_the_command_line_do_the_same(server: RunningServer, models: ModelServiceStub) -> None:
    with Client.connect(server.address) as client:
        assert [str(model) for model in client.models.list()] == ["models/cars", "models/pets"]
        (*_, oldest) = versions = list(client.models.versions("models/pets"))
        moved = client.models.set_alias("models/pets@champion", versions[0])
        assert moved == client.models.version("models/pets@champion")
        assert client.models.get("models/pets").aliases["champion"] == "models/pets/versions/3"
        assert oldest.onnx is not None
        assert oldest.onnx.not_made == ""
        client.models.delete_alias("models/pets@first")
        with pytest.raises(NotFoundError):
            client.models.version("models/pets@first")

    async def in_asyncio() -> None:
        async with AsyncClient.connect(server.address) as client:
            assert [str(model) async for model in client.models.list()] == ["models/cars", "models/pets"]
            assert moved in [version async for version in client.models.versions("models/pets")]
            again = await client.models.set_alias("models/pets@first", "models/pets/versions/1")
            assert again == await client.models.version("models/pets@first")
            await client.models.delete_alias("models/pets@first")
            assert "first" not in (await client.models.get("models/pets")).aliases

    asyncio.run(in_asyncio())
    main = "from learnfleet.client.cli.main import main; main()"

    def run(*arguments: str) -> str:
        command = [sys.executable, "-c", main, "model", *arguments, "--server", server.address]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout

    assert "champion: 3" in run("list")
    assert "models/pets@champion is models/pets/versions/2" in run("alias", "models/pets@champion", versions[1].name)
    assert "within" in run("show", "models/pets")
    assert "models:/pets/2" in run("show", "models/pets@champion")
    assert "is gone" in run("unalias", "models/pets@champion")


def test_while_mlflow_is_away_callers_are_told_to_try_again(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    nowhere = f"http://127.0.0.1:{free_port()}"
    with running_server(tmp_path, tmp_path / "root", mlflow_uri=nowhere) as server:
        models = ModelServiceStub(server.channel)
        calls = [
            (models.ListModels, pb.ListModelsRequest()),
            (models.GetModelVersion, pb.GetModelVersionRequest(name="models/pets@champion")),
        ]
        for call, request in calls:
            assert refusal(lambda: call(request, timeout=60)).code is grpc.StatusCode.UNAVAILABLE  # noqa: B023
