"""MLflow with users of its own, set up as deploy/ does it: strangers get nothing, a control server logs."""

from __future__ import annotations

import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from mlflow.server import get_app_client
from support.mlflow_server import MlflowServer, until
from support.tracked_jobs import run_job

from learnfleet.server.config import Config
from learnfleet.server.doctor.mlflow import check_mlflow
from learnfleet.server.store.sql import SqlStore
from learnfleet.server.tracking.exporter import MlflowExporter
from learnfleet.server.tracking.mlflow_client import EXPERIMENT, mlflow_client

BASE = Path(__file__).resolve().parents[3] / "deploy" / "kubernetes" / "base"
USER, PASSWORD = "learnfleet", "of-the-control-servers"
SEARCH = "/api/2.0/mlflow/experiments/search?max_results=10"
# What the manifest takes from the Secret, by its keys.
SECRET = {"username": USER, "password": PASSWORD, "signing-key": "0123456789abcdef"}


def container() -> dict[str, object]:
    deployment = next(iter(yaml.safe_load_all((BASE / "mlflow.yaml").read_text())))
    found: dict[str, object] = deployment["spec"]["template"]["spec"]["containers"][0]
    return found


@pytest.fixture
def mlflow(tmp_path: Path) -> Iterator[MlflowServer]:
    """With the manifest's own arguments and variables, as far as they are about users."""
    folder = tmp_path / "server"
    folder.mkdir()
    users = (BASE / "basic_auth.ini").read_text()
    assert "sqlite:////mlflow/users.db" in users
    (folder / "basic_auth.ini").write_text(users.replace("/mlflow/users.db", str(folder / "users.db")))
    described = container()
    (application,) = [argument for argument in described["args"] if argument.startswith("--app-name")]  # type: ignore[attr-defined]
    environment = {
        each["name"]: SECRET[each["valueFrom"]["secretKeyRef"]["key"]]
        for each in described["env"]  # type: ignore[attr-defined]
        if each["name"].startswith("MLFLOW_") and "valueFrom" in each
    }
    environment["MLFLOW_AUTH_CONFIG_PATH"] = str(folder / "basic_auth.ini")
    made = MlflowServer(folder, [application], environment)
    made.start()
    yield made
    made.kill()


def status(url: str, user: str | None = None, password: str = "") -> int:
    request = urllib.request.Request(url)
    if user is not None:
        request.add_header("Authorization", f"Basic {b64encode(f'{user}:{password}'.encode()).decode()}")
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_doctor_asks_as_the_server_does(mlflow: MlflowServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def found(uri: str) -> tuple[str, str]:
        (finding,) = check_mlflow(Config(tmp_path, mlflow_uri=uri))
        return finding.level, finding.found

    assert found(mlflow.uri) == ("warn", f"{mlflow.uri} does not let this user in (HTTP 401)")
    of_a_user = mlflow.uri.replace("://", f"://{USER}:{PASSWORD}@")
    assert found(of_a_user)[0] == "ok"
    assert PASSWORD not in found(of_a_user)[1]
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", USER)
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", PASSWORD)
    assert found(mlflow.uri)[0] == "ok"
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "a guess")
    assert found(mlflow.uri)[0] == "warn"


def test_strangers_see_nothing_and_a_control_server_logs(
    mlflow: MlflowServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("", "ajax-api/2.0/mlflow/experiments/search?max_results=10", SEARCH[1:]):
        assert status(f"{mlflow.uri}/{name}") == 401, name
    assert status(mlflow.uri + SEARCH, USER, "a guess") == 401
    assert status(mlflow.uri + SEARCH, USER, PASSWORD) == 200

    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", USER)
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", PASSWORD)
    config = Config(tmp_path, mlflow_uri=mlflow.uri)
    store = SqlStore(f"sqlite:///{tmp_path / 'store.db'}")
    exporter = MlflowExporter(config, store)
    run_job(store, "j1")
    exporter.start()
    until(lambda: not store.jobs_behind("mlflow"))
    exporter.abandon()
    store.close()
    client = mlflow_client(config)
    experiment = client.get_experiment_by_name(EXPERIMENT)
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    assert any(run.info.status == "FINISHED" for run in runs)

    get_app_client("basic-auth", tracking_uri=mlflow.uri).create_user("curious", "a-long-password")
    run = f"{mlflow.uri}/api/2.0/mlflow/runs/get?run_id={runs[0].info.run_id}"
    assert status(run, USER, PASSWORD) == 200
    assert status(run, "curious", "a-long-password") == 403, "nobody has given it to them"
