"""`client.models` for asyncio."""

from __future__ import annotations

from collections.abc import AsyncIterator

from learnfleet.client.aio_connection import AsyncConnection
from learnfleet.client.model_values import Model, ModelVersion
from learnfleet.v1 import model_service_pb2 as pb


class AsyncModels:
    """As `Models`, for asyncio."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def list(self) -> AsyncIterator[Model]:
        """All models, by name."""
        token = ""
        while True:
            request = pb.ListModelsRequest(page_token=token)
            page = await self._connection.call(self._connection.models.ListModels, request)
            for message in page.models:
                yield Model.from_proto(message)
            token = page.next_page_token
            if not token:
                return

    async def get(self, name: str) -> Model:
        """`models/{model}`, with its aliases."""
        request = pb.GetModelRequest(name=name)
        return Model.from_proto(await self._connection.call(self._connection.models.GetModel, request))

    async def versions(self, model: str) -> AsyncIterator[ModelVersion]:
        """The versions of `models/{model}`, newest first."""
        token = ""
        while True:
            request = pb.ListModelVersionsRequest(model=model, page_token=token)
            page = await self._connection.call(self._connection.models.ListModelVersions, request)
            for message in page.versions:
                yield ModelVersion.from_proto(message)
            token = page.next_page_token
            if not token:
                return

    async def version(self, name: str) -> ModelVersion:
        """`models/{model}/versions/{version}` or `models/{model}@{alias}`."""
        request = pb.GetModelVersionRequest(name=name)
        return ModelVersion.from_proto(await self._connection.call(self._connection.models.GetModelVersion, request))

    async def set_alias(self, name: str, version: str | ModelVersion) -> ModelVersion:
        """Point `models/{model}@{alias}` at a version of the model, wherever it pointed before."""
        request = pb.SetModelAliasRequest(name=name, version=str(version))
        return ModelVersion.from_proto(await self._connection.call(self._connection.models.SetModelAlias, request))

    async def delete_alias(self, name: str) -> None:
        """Take `models/{model}@{alias}` away; the version stays."""
        request = pb.DeleteModelAliasRequest(name=name)
        await self._connection.call(self._connection.models.DeleteModelAlias, request)
