"""`client.models`: model versions on the server, and the aliases that point at them."""

from __future__ import annotations

from collections.abc import Iterator

from learnfleet.client.connection import Connection
from learnfleet.client.model_values import Model, ModelVersion
from learnfleet.v1 import model_service_pb2 as pb


class Models:
    """The models of a server. `learn.export` makes versions."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def list(self) -> Iterator[Model]:
        """All models, by name."""
        token = ""
        while True:
            request = pb.ListModelsRequest(page_token=token)
            page = self._connection.call(self._connection.models.ListModels, request)
            yield from map(Model.from_proto, page.models)
            token = page.next_page_token
            if not token:
                return

    def get(self, name: str) -> Model:
        """`models/{model}`, with its aliases. Raises NotFoundError."""
        request = pb.GetModelRequest(name=name)
        return Model.from_proto(self._connection.call(self._connection.models.GetModel, request))

    def versions(self, model: str) -> Iterator[ModelVersion]:
        """The versions of `models/{model}`, newest first. Raises NotFoundError."""
        token = ""
        while True:
            request = pb.ListModelVersionsRequest(model=model, page_token=token)
            page = self._connection.call(self._connection.models.ListModelVersions, request)
            yield from map(ModelVersion.from_proto, page.versions)
            token = page.next_page_token
            if not token:
                return

    def version(self, name: str) -> ModelVersion:
        """`models/{model}/versions/{version}` or `models/{model}@{alias}`. Raises NotFoundError."""
        request = pb.GetModelVersionRequest(name=name)
        return ModelVersion.from_proto(self._connection.call(self._connection.models.GetModelVersion, request))

    def set_alias(self, name: str, version: str | ModelVersion) -> ModelVersion:
        """Point `models/{model}@{alias}` at a version of the model, wherever it pointed before.

        Whoever asks for the alias is answered by that version, within the server's `--alias-ttl-s` (5 s). Raises
        NotFoundError.
        """
        request = pb.SetModelAliasRequest(name=name, version=str(version))
        return ModelVersion.from_proto(self._connection.call(self._connection.models.SetModelAlias, request))

    def delete_alias(self, name: str) -> None:
        """Take `models/{model}@{alias}` away; the version stays. Raises NotFoundError."""
        self._connection.call(self._connection.models.DeleteModelAlias, pb.DeleteModelAliasRequest(name=name))
