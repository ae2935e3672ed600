"""Models, versions and aliases as MLflow's registry has them: found, and aliases moved. Methods block."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from learnfleet.server.config import Config
from learnfleet.server.errors import FieldViolation, InvalidArgument, NotFound, Unavailable
from learnfleet.server.names import ModelRef, model_name
from learnfleet.server.store.base import Page, Store
from learnfleet.server.tracking.mlflow_client import import_mlflow, mlflow_client
from learnfleet.server.tracking.runs import LEARNER_TAG
from learnfleet.server.tracking.version_tags import TENANT_TAG

EXPORT_HINT = "export a learner to make it"  # where a model does not exist
_MISSING = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")


@dataclass(frozen=True)
class ModelRecord:
    """A registered model."""

    id: str
    description: str
    aliases: Mapping[str, str]  # the number of the version that each points at
    created_at: datetime
    updated_at: datetime
    tenant: str


@dataclass(frozen=True)
class VersionRecord:
    """A version of a model."""

    model_id: str
    version: str
    aliases: tuple[str, ...]
    description: str
    tags: Mapping[str, str]
    created_at: datetime

    @property
    def ref(self) -> ModelRef:
        return ModelRef(self.model_id, self.version)


class ModelCatalog:
    """The models of a tenant; those of others do not exist for it.

    All methods raise NotFound, and Unavailable while MLflow does not answer.
    """

    def __init__(self, config: Config, store: Store) -> None:
        self._config, self._store = config, store

    def get(self, model_id: str, tenant: str) -> ModelRecord:
        name = model_name(model_id)
        with told(name):
            record = self._record(mlflow_client(self._config).get_registered_model(model_id))
        if record.tenant != tenant:
            raise NotFound(name)
        return record

    def search(self, page: Page, tenant: str) -> tuple[list[ModelRecord], str]:
        """(models by name, token of the next page)."""
        with told("models", "page_token"):
            found = mlflow_client(self._config).search_registered_models(
                f"tags.`{TENANT_TAG}` = '{tenant}'", page.limit, ["name ASC"], page.token or None
            )
        return [self._record(item) for item in found], found.token or ""

    def versions(self, model_id: str, page: Page, tenant: str) -> tuple[list[VersionRecord], str]:
        """(versions, newest first; token of the next page)."""
        model = self.get(model_id, tenant)
        with told(model_name(model_id), "page_token"):
            found = mlflow_client(self._config).search_model_versions(
                f"name = '{model_id}'", page.limit, ["version_number DESC"], page.token or None
            )
        return [_version(item, model) for item in found], found.token or ""

    def version(self, ref: ModelRef, tenant: str) -> VersionRecord:
        model, client = self.get(ref.model, tenant), mlflow_client(self._config)
        number = ref.version or model.aliases.get(ref.alias or "")
        if number is None:
            raise NotFound(str(ref), f"{model_name(ref.model)} has {_listed(model.aliases)}")
        with told(str(ref)):
            return _version(client.get_model_version(ref.model, number), model)

    def set_alias(self, alias: ModelRef, version: str, tenant: str) -> VersionRecord:
        """Point it at a version, which then is given."""
        self.version(ModelRef(alias.model, version), tenant)
        with told(str(alias)):
            mlflow_client(self._config).set_registered_model_alias(alias.model, alias.alias or "", version)
        return self.version(ModelRef(alias.model, version), tenant)

    def delete_alias(self, alias: ModelRef, tenant: str) -> None:
        self.version(alias, tenant)
        with told(str(alias)):
            mlflow_client(self._config).delete_registered_model_alias(alias.model, alias.alias or "")

    def _record(self, found: Any) -> ModelRecord:
        return ModelRecord(
            found.name,
            found.description or "",
            {alias: str(number) for alias, number in found.aliases.items()},
            _time(found.creation_timestamp),
            _time(found.last_updated_timestamp),
            owner_of(found.tags, self._store) or "",
        )


def owner_of(tags: Mapping[str, str], store: Store) -> str | None:
    """Whose a registered model is; None where nobody knows: it was not made here, or its learner is gone."""
    if TENANT_TAG in tags:
        return tags[TENANT_TAG]
    learner = tags.get(LEARNER_TAG, "").removeprefix("learners/")
    return store.tenant_of_learner(learner) if learner else None


def _version(found: Any, model: ModelRecord) -> VersionRecord:
    number = str(found.version)
    aliases = tuple(sorted(alias for alias, target in model.aliases.items() if target == number))
    return VersionRecord(
        model.id, number, aliases, found.description or "", found.tags, _time(found.creation_timestamp)
    )


def _listed(aliases: Mapping[str, str]) -> str:
    return f"the aliases {', '.join(sorted(aliases))}" if aliases else "no aliases"


def _time(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


@contextlib.contextmanager
def told(name: str, token_field: str | None = None, hint: str = "") -> Iterator[None]:
    """MLflow's errors as ours.

    Args:
        name: of what is asked for.
        token_field: where the only thing that can be wrong is a page token: its field.
        hint: what to do where it does not exist.
    """
    import_mlflow()
    from mlflow.exceptions import MlflowException

    try:
        yield
    except MlflowException as error:
        if error.error_code == "INVALID_PARAMETER_VALUE" and token_field:
            wrong = FieldViolation(token_field, "is no token that a page before this one gave")
            raise InvalidArgument([wrong]) from None
        if error.error_code in _MISSING:
            raise NotFound(name, hint) from None
        raise Unavailable(f"the model registry does not answer as it should ({error.error_code}); try again") from error
