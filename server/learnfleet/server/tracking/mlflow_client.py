"""The one way to MLflow: settings first, then the import, which takes seconds."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, TypeAlias

from learnfleet.server.config import Config
from learnfleet.server.data.flush import flush_folder, flush_tree

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

EXPERIMENT = "learnfleet"
# For every process of ours that has MLflow in it: no model may bring code along, and no server runs what it is sent.
SAFE = {"MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
_SETTINGS = {
    "MLFLOW_CONFIGURE_LOGGING": "false",  # its lines go where ours go, and as ours do
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",  # it would make a second run where the first is there; we look first
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "60",  # s without a byte
}
# Without it MLflow's pages take an experiment for one of language models, and its runs for evaluations.
_EXPERIMENT_TAGS = {"mlflow.experimentKind": "custom_model_development"}
_import_lock = Lock()
Connect: TypeAlias = "Callable[[Config], MlflowClient]"


class ExperimentDeleted(RuntimeError):
    """Somebody has deleted the experiment; nothing can be written until it is restored."""


def import_mlflow() -> None:
    """What comes before any other import of MLflow, in any thread.

    It imports itself in circles: of threads that import it together some find half of it, and then all do for ever.
    """
    with _import_lock:
        os.environ.update(SAFE)
        for name, value in _SETTINGS.items():
            os.environ.setdefault(name, value)
        import mlflow
        import mlflow.tracking  # noqa: F401


@cache
def mlflow_client(config: Config) -> MlflowClient:
    """A client of the configured tracking server and registry. Blocks on its first call; from any thread."""
    import_mlflow()
    config.artifact_root.mkdir(parents=True, exist_ok=True)
    from mlflow.tracking import MlflowClient

    if config.mlflow_uri is None:
        with _import_lock:
            _make_whole(Path(config.tracking_uri.removeprefix("sqlite:///")))
    return MlflowClient(tracking_uri=config.tracking_uri, registry_uri=config.tracking_uri)


def _make_whole(database: Path) -> None:
    """MLflow's own SQLite database, there with all of its tables or not at all.

    MLflow makes tables by dozens of migrations, each in steps of its own: of a process that ends in their middle it
    leaves a database that no later one can open.
    """
    if database.exists():
        return
    from mlflow.tracking import MlflowClient

    with tempfile.TemporaryDirectory(dir=database.parent, prefix=".new-") as folder:
        made, copy = Path(folder) / "made.db", Path(folder) / "copy.db"
        uri = f"sqlite:///{made}"
        MlflowClient(tracking_uri=uri, registry_uri=uri).search_experiments(max_results=1)
        shutil.copyfile(made, copy)  # MLflow keeps connections to the one that it has made
        flush_tree(Path(folder))
        if not database.exists():  # another server that shares the folder may have been quicker
            copy.rename(database)
    flush_folder(database.parent)


def experiment_id(client: MlflowClient, config: Config) -> str:
    """Of our experiment, made if it is not there. Raises ExperimentDeleted."""
    found = client.get_experiment_by_name(EXPERIMENT)
    if found is None:
        local = None if config.mlflow_uri else config.artifact_root.as_uri()
        return str(client.create_experiment(EXPERIMENT, artifact_location=local, tags=_EXPERIMENT_TAGS))
    if found.lifecycle_stage == "deleted":
        number = found.experiment_id
        raise ExperimentDeleted(
            f"MLflow's experiment is deleted; `mlflow experiments restore -x {number}` lets it go on"
        )
    return str(found.experiment_id)
