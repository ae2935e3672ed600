"""Model versions in MLflow's registry."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Protocol

from learnfleet.server import names
from learnfleet.server.config import Config
from learnfleet.server.domain import ExportWork, Job
from learnfleet.server.errors import FailedPrecondition, NotFound
from learnfleet.server.names import ModelRef
from learnfleet.server.store.base import Store
from learnfleet.server.tracking.mlflow_client import import_mlflow, mlflow_client
from learnfleet.server.tracking.mlflow_model import card_of, write_mlflow_model
from learnfleet.server.tracking.models import EXPORT_HINT, owner_of, told
from learnfleet.server.tracking.params import made_of
from learnfleet.server.tracking.runs import JOB_TAG, LEARNER_TAG, Runs
from learnfleet.server.tracking.version_folders import VersionFolders
from learnfleet.server.tracking.version_tags import CHECKPOINT_TAG, SHA256_TAG, TENANT_TAG, card_tags

_MODEL = "model"

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Registered:
    """What is said of a model as a whole."""

    aliases: Mapping[str, str]  # version numbers
    tags: Mapping[str, str]
    owner: str | None  # its tenant; None: nobody knows


class ModelNews(Protocol):
    """Whoever answers for models, and wants to know of new ones at once. From any thread."""

    def expect(self) -> None:
        """An export is being made. Returns at once."""
        ...

    def changed(self, model_id: str, made: Sequence[ModelRef] = ()) -> None:
        """A version or an alias was made or removed; of those `made` somebody will ask next. May block for seconds."""
        ...


class NoNews:
    """Nobody who wants to know."""

    def expect(self) -> None:
        pass

    def changed(self, model_id: str, made: Sequence[ModelRef] = ()) -> None:
        pass


class ModelRegistry:
    """Registers exports and finds them again. Methods block; errors of MLflow pass through."""

    def __init__(self, config: Config, store: Store, news: ModelNews = NoNews()) -> None:  # noqa: B008  # has no state
        self._config, self._runs, self._news = config, Runs(config, store), news
        self._store = store
        self._folders = VersionFolders(config.data_dir / "models")
        self._lock = Lock()

    def expect(self) -> None:
        """Tell those who will answer for it that an export is being made."""
        self._news.expect()

    def register(self, job: Job, export: Path, work: ExportWork) -> str:
        """The number of the job's version, made on the first call."""
        client = mlflow_client(self._config)
        with self._lock:
            self._ensure_model(work.model_id, job)
            version = self._version_of(job, work.model_id) or self._create(job, export, work.model_id)
            for alias in work.aliases:
                client.set_registered_model_alias(work.model_id, alias, version)
        made = client.get_model_version(work.model_id, version)
        self._folders.place(work.model_id, version, made.tags, export)
        aliases = [ModelRef(work.model_id, alias=alias) for alias in work.aliases]
        self._news.changed(work.model_id, [ModelRef(work.model_id, version), *aliases])
        return version

    def remove(self, model_id: str, version: str) -> None:
        """Take a version back; the files of its run stay."""
        mlflow_client(self._config).delete_model_version(model_id, version)
        self._news.changed(model_id)

    def registered(self, model_id: str) -> Registered:
        """Raises NotFound."""
        with told(names.model_name(model_id), hint=EXPORT_HINT):
            found = mlflow_client(self._config).get_registered_model(model_id)
        aliases = {alias: str(version) for alias, version in found.aliases.items()}
        return Registered(aliases, dict(found.tags), owner_of(found.tags, self._store))

    def _ensure_model(self, model_id: str, job: Job) -> None:
        """Made with the first of its versions. What somebody has since written on its page stays."""
        import_mlflow()
        from mlflow.exceptions import MlflowException

        client, spec = mlflow_client(self._config), self._store.get_learner(job.learner_id).spec
        tags = {LEARNER_TAG: f"learners/{job.learner_id}", "learnfleet.architecture": spec.architecture}
        note = f"Exports of learnfleet learners; the first was of `learners/{job.learner_id}`."
        try:
            client.create_registered_model(model_id, {**tags, TENANT_TAG: job.tenant}, note)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
            self._claim(model_id, job.tenant)

    def _claim(self, model_id: str, tenant: str) -> None:
        """Raises FailedPrecondition for a model of another tenant. One that is nobody's becomes this one's."""
        client = mlflow_client(self._config)
        tags = client.get_registered_model(model_id).tags
        if owner_of(tags, self._store) not in (None, tenant):
            name = names.model_name(model_id)
            raise FailedPrecondition(name, f"{name} is taken by another tenant; give another model_id")
        if TENANT_TAG not in tags:
            client.set_registered_model_tag(model_id, TENANT_TAG, tenant)

    def _version_of(self, job: Job, model_id: str) -> str | None:
        found = mlflow_client(self._config).search_model_versions(f"name = '{model_id}'")
        return next((str(item.version) for item in found if item.tags.get(JOB_TAG) == f"jobs/{job.id}"), None)

    def _create(self, job: Job, export: Path, model_id: str) -> str:
        client = mlflow_client(self._config)
        run_id = self._runs.of_job(job)
        with tempfile.TemporaryDirectory() as folder:
            model = Path(folder) / _MODEL
            write_mlflow_model(export, model)
            client.log_artifacts(run_id, str(model), _MODEL)
        source = f"{client.get_run(run_id).info.artifact_uri}/{_MODEL}"
        tags, note = self._described(job)
        tags |= card_tags(card_of(export))
        return str(client.create_model_version(model_id, source, run_id, tags=tags, description=note).version)

    def _described(self, job: Job) -> tuple[dict[str, str], str]:
        """Tags and description of the job's version: whose it is, and how good that state was."""
        learner = self._store.get_learner(job.learner_id)
        tags = {JOB_TAG: f"jobs/{job.id}", LEARNER_TAG: f"learners/{learner.id}"}
        lines = [f"Export of `learners/{learner.id}` by `jobs/{job.id}`: {made_of(learner.spec)}."]
        if job.start_checkpoint_id is not None:
            name = names.checkpoint_name(learner.id, job.start_checkpoint_id)
            checkpoint = self._store.get_checkpoint(learner.id, job.start_checkpoint_id)
            tags |= {CHECKPOINT_TAG: name, SHA256_TAG: checkpoint.model_sha256}
            lines.append(f"State `{name}`: epoch {checkpoint.epoch}, step {checkpoint.step}.")
            lines += [f"- {metric}: {value:.6g}" for metric, value in self._metrics_of(checkpoint.id).items()]
        return tags, "\n".join(lines)

    def _metrics_of(self, checkpoint_id: str) -> dict[str, float]:
        """Of the job that the state is the result of, if it is: such a checkpoint has the job's id."""
        try:
            result = self._store.get_job(checkpoint_id).result or {}
        except NotFound:
            return {}
        return {name: value for name, value in (result.get("metrics") or {}).items() if value is not None}

    def resolve(self, ref: ModelRef) -> tuple[Path, str]:
        """(export folder, `models/{model}/versions/{version}`). Raises NotFound, Unavailable."""
        client = mlflow_client(self._config)
        with told(str(ref), hint=EXPORT_HINT):
            if ref.alias is not None:
                found = client.get_model_version_by_alias(ref.model, ref.alias)
            else:
                found = client.get_model_version(ref.model, ref.version or "")
        version = str(found.version)
        return self._folders.fetch(ref.model, version, found.tags, str(found.source)), str(ModelRef(ref.model, version))
