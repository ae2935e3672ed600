"""MLflow is a server behind a network that fails in every way while a job trains; the job does not notice."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from support.mlflow_server import FaultyProxy, MlflowServer, until

from learnfleet.client import Client, Event, ImageDataBunch, Job
from learnfleet.server.commands.local_server import LocalServer, local_server

pytestmark = pytest.mark.slow  # a minute on an idle machine, most of it waiting for MLflow to start again
EPOCHS = 40
Points = dict[str, list[tuple[int, float]]]  # (step, value) by metric, in order


@pytest.fixture(scope="module")
def mlflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    server = MlflowServer(tmp_path_factory.mktemp("mlflow"))
    server.start()
    yield server
    server.kill()


@pytest.fixture(scope="module")
def proxy(mlflow: MlflowServer) -> Iterator[FaultyProxy]:
    made = FaultyProxy(mlflow.port)
    yield made
    made.close()


@pytest.fixture
def tracked_server(proxy: FaultyProxy, tmp_path: Path, pictures: Path) -> Iterator[LocalServer]:
    options = ["--mlflow-uri", proxy.uri]
    without_retries = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}
    log = tmp_path / "server.log"
    with local_server(tmp_path / "data", [pictures], log, options=options, environment=without_retries) as running:
        yield running


def a_job(client: Client) -> Job:
    data = ImageDataBunch.from_folder("digits", size=32, bs=32)
    learn = client.cnn_learner(data, "squeezenet1_1", pretrained=False, metrics=["accuracy"], name="outage")
    return learn.fit_one_cycle(EPOCHS, 1e-3, wait=False)


def expected_points(events: list[Event]) -> Points:
    points: Points = {}
    for event in events:
        values: dict[str, float] = {}
        if event.kind == "batch_finished":
            values = {"batch_loss": event.payload.loss}
        if event.kind == "epoch_finished":
            row = event.payload
            values = {"train_loss": row.train_loss, "valid_loss": row.valid_loss, **row.metrics}
        for name, value in values.items():
            points.setdefault(name, []).append((event.payload.step, pytest.approx(value, rel=1e-6)))
    return points


def test_training_goes_on_while_mlflow_is_away_and_every_point_arrives_once_and_in_order(
    mlflow: MlflowServer, proxy: FaultyProxy, tracked_server: LocalServer
) -> None:
    from mlflow.tracking import MlflowClient

    direct = MlflowClient(mlflow.uri)
    with Client.connect(tracked_server.address) as client:
        job = a_job(client)
        run_id = job.wait_tracked(timeout=120).run_id
        until(lambda: bool(direct.get_metric_history(run_id, "batch_loss")))
        gone_at = datetime.now(UTC)
        proxy.switch("down", hits=1)
        proxy.switch("error", hits=2)
        mlflow.kill()
        proxy.switch("pass", hits=1)
        job.wait()
        proxy.switch("down")
        mlflow.start()
        proxy.switch("deaf", hits=2)  # the points arrive, and the server cannot know
        assert direct.get_run(run_id).info.status == "RUNNING"
        proxy.switch("pass")
        until(lambda: direct.get_run(run_id).info.status == "FINISHED")
        events = list(job.watch())
    assert sum(event.kind == "epoch_finished" and event.time > gone_at for event in events) >= 2
    expected = expected_points(events)
    histories = {name: direct.get_metric_history(run_id, name) for name in expected}
    assert {name: [(point.step, point.value) for point in found] for name, found in histories.items()} == expected
    assert all([p.timestamp for p in found] == sorted(p.timestamp for p in found) for found in histories.values())
    until(lambda: len(direct.list_artifacts(run_id, "checkpoints")) == 1)
    assert {"checkpoints", "epochs.csv"} <= {item.path for item in direct.list_artifacts(run_id)}
