"""ModelService."""

from __future__ import annotations

from dataclasses import dataclass, field

from google.protobuf.empty_pb2 import Empty

from learnfleet.server import names
from learnfleet.server.config import Config
from learnfleet.server.long_calls import LongCalls
from learnfleet.server.names import ModelRef
from learnfleet.server.rpc.page import read_page
from learnfleet.server.rpc.tenants import current_tenant
from learnfleet.server.rpc.violations import Violations
from learnfleet.server.rpc.write_job import onnx_to_proto, timestamp
from learnfleet.server.store.base import Store
from learnfleet.server.tracking.models import ModelCatalog, ModelRecord, VersionRecord
from learnfleet.server.tracking.registry import ModelNews, NoNews
from learnfleet.server.tracking.runs import JOB_TAG, LEARNER_TAG
from learnfleet.server.tracking.version_tags import CHECKPOINT_TAG, SHA256_TAG, metrics_in, onnx_in
from learnfleet.v1 import model_service_pb2 as pb

_CONCURRENT_CALLS = 4  # each may wait for MLflow


@dataclass(frozen=True)
class ModelServicer:
    """Finds model versions and moves aliases."""

    config: Config
    store: Store
    news: ModelNews = field(default_factory=NoNews)
    asking: LongCalls = field(default_factory=lambda: LongCalls("models", _CONCURRENT_CALLS))

    @property
    def _catalog(self) -> ModelCatalog:
        return ModelCatalog(self.config, self.store)

    async def get_model(self, request: pb.GetModelRequest) -> pb.Model:
        model_id = names.parse_model_name(request.name)
        return _model(await self.asking.run(self._catalog.get, model_id, current_tenant()))

    async def list_models(self, request: pb.ListModelsRequest) -> pb.ListModelsResponse:
        page = read_page(request.page_size, request.page_token)
        found, token = await self.asking.run(self._catalog.search, page, current_tenant())
        return pb.ListModelsResponse(models=[_model(record) for record in found], next_page_token=token)

    async def get_model_version(self, request: pb.GetModelVersionRequest) -> pb.ModelVersion:
        ref = names.parse_model(request.name, "name")
        return _version(await self.asking.run(self._catalog.version, ref, current_tenant()))

    async def list_model_versions(self, request: pb.ListModelVersionsRequest) -> pb.ListModelVersionsResponse:
        found = Violations()
        model_id = found.attempt(lambda: names.parse_model_name(request.model, "model"))
        page = found.attempt(lambda: read_page(request.page_size, request.page_token))
        found.raise_if_any()
        assert model_id is not None
        assert page is not None
        versions, token = await self.asking.run(self._catalog.versions, model_id, page, current_tenant())
        return pb.ListModelVersionsResponse(versions=[_version(item) for item in versions], next_page_token=token)

    async def set_model_alias(self, request: pb.SetModelAliasRequest) -> pb.ModelVersion:
        found = Violations()
        alias = _read_alias(request.name, found)
        version = found.attempt(lambda: names.parse_model(request.version, "version"))
        if version is not None:
            right = f"is {version}; must be of the form models/{{model}}/versions/{{version}}"
            found.check(version.version is not None, "version", right)
        if alias is not None and version is not None:
            is_same = alias.model == version.model
            found.check(is_same, "version", f"is of models/{version.model}; must be one of models/{alias.model}")
        found.raise_if_any()
        assert alias is not None
        assert version is not None
        moved = await self.asking.run(self._catalog.set_alias, alias, version.version or "", current_tenant())
        await self.asking.run(self.news.changed, alias.model)
        return _version(moved)

    async def delete_model_alias(self, request: pb.DeleteModelAliasRequest) -> Empty:
        found = Violations()
        alias = _read_alias(request.name, found)
        found.raise_if_any()
        assert alias is not None
        await self.asking.run(self._catalog.delete_alias, alias, current_tenant())
        await self.asking.run(self.news.changed, alias.model)
        return Empty()


def _read_alias(name: str, found: Violations) -> ModelRef | None:
    ref = found.attempt(lambda: names.parse_model(name, "name"))
    if ref is None:
        return None
    if ref.alias is None:
        found.add("name", f"is {ref}; must be of the form models/{{model}}@{{alias}}")
        return None
    found.check(names.is_alias(ref.alias), "name", f"'{ref.alias}' must be {names.ALIAS_RULE}")
    return ref


def _model(record: ModelRecord) -> pb.Model:
    return pb.Model(
        name=names.model_name(record.id),
        description=record.description,
        aliases={alias: str(ModelRef(record.id, number)) for alias, number in record.aliases.items()},
        create_time=timestamp(record.created_at),
        update_time=timestamp(record.updated_at),
        tenant=record.tenant,
    )


def _version(record: VersionRecord) -> pb.ModelVersion:
    tags = record.tags
    onnx = onnx_in(tags)
    return pb.ModelVersion(
        name=str(record.ref),
        aliases=record.aliases,
        description=record.description,
        learner=tags.get(LEARNER_TAG, ""),
        checkpoint=tags.get(CHECKPOINT_TAG, ""),
        job=tags.get(JOB_TAG, ""),
        model_sha256=tags.get(SHA256_TAG, ""),
        metrics=metrics_in(tags),
        onnx=onnx_to_proto(onnx) if onnx is not None else None,
        create_time=timestamp(record.created_at),
        mlflow_uri=f"models:/{record.model_id}/{record.version}",
    )
