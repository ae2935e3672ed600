"""A server with 20 secrets, a job that is traced from call to step, and errors: what is told of it, and what is not."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import re
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
from opentelemetry.sdk.trace import TracerProvider
from support.mlflow_server import MlflowServer, until
from support.otlp_collector import Collector, Span, collector

from learnfleet.client import Client, ImageDataBunch
from learnfleet.client.errors import LearnfleetError
from learnfleet.client.job import Job
from learnfleet.server.commands.local_server import LocalServer, local_server
from learnfleet.v1 import job_service_pb2, job_service_pb2_grpc

_SECRET = "planted-{}-b7Qx9Zt2"
ENVIRONMENT = {
    name: _SECRET.format(number)
    for number, name in enumerate(
        (
            "PGPASSWORD",
            "MLFLOW_TRACKING_PASSWORD",
            "MLFLOW_TRACKING_TOKEN",
            "AWS_SECRET_ACCESS_KEY",
            "AWS_ACCESS_KEY_ID",
            "AWS_SESSION_TOKEN",
            "AZURE_STORAGE_CONNECTION_STRING",
            "AZURE_STORAGE_ACCOUNT_KEY",
            "GOOGLE_API_KEY",
            "HF_TOKEN",
            "RAY_REDIS_PASSWORD",
            "OIDC_CLIENT_SECRET",
            "TLS_KEY_PASSPHRASE",
            "SMTP_PASSWD",
        )
    )
}
ENVIRONMENT["OTEL_EXPORTER_OTLP_HEADERS"] = f"x-api-key={_SECRET.format(14)}"
ENVIRONMENT["MIRROR_URL"] = f"https://mirror:{_SECRET.format(15)}@mirror.invalid/simple"
IN_MLFLOW_URI, IN_ROOT, IN_STORE, IN_CALL = (_SECRET.format(number) for number in range(16, 20))
SECRETS = [_SECRET.format(number) for number in range(20)]


@dataclass
class Run:
    """A server, what was asked of it, and where what it tells is to be found."""

    server: LocalServer
    folder: Path
    ray: Path  # what Ray writes: logs of each of its processes, sessions
    collected: Collector
    job: Job
    trace_id: str
    metrics: str
    told: list[str]  # to callers

    def spans(self) -> list[Span]:
        return self.collected.spans(self.trace_id)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, pictures: Path) -> Iterator[Run]:
    folder = tmp_path_factory.mktemp("secrets")
    mlflow = MlflowServer(folder)
    mlflow.start()
    with contextlib.ExitStack() as held:
        # Ray's sockets lie in it, and their paths may have a hundred letters: pytest's own folders are too deep.
        ray = Path(held.enter_context(tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True)))
        held.callback(mlflow.kill)
        collected = held.enter_context(collector())
        server = held.enter_context(_server(folder, ray, pictures, mlflow, collected))
        client = held.enter_context(Client.connect(server.address))
        told: list[str] = []
        with TracerProvider().get_tracer("mine").start_as_current_span("mine") as mine:
            job = _trained(client)
        told += [repr(job.wait_tracked()), *_errors(client, server.address)]
        trace_id = f"{mine.get_span_context().trace_id:032x}"
        until(lambda: _is_whole(collected.spans(trace_id)), 30)
        metrics = _metrics(server)
        mlflow.kill()
        _fails_in_mlflow(client, server)
        yield Run(server, folder, ray, collected, job, trace_id, metrics, told)


def _server(
    folder: Path, ray: Path, pictures: Path, mlflow: MlflowServer, collected: Collector
) -> contextlib.AbstractContextManager[LocalServer]:
    options = ["--mlflow-uri", mlflow.uri.replace("http://", f"http://learnfleet:{IN_MLFLOW_URI}@")]
    options += ["--data-root", f"s3://reader:{IN_ROOT}@bucket/pictures", "--metrics-listen", "0"]
    options += ["--traces-endpoint", collected.endpoint, "--log-format", "json", "--log-level", "debug"]
    options += ["--system-metrics-every-s", "1"]
    environment = {**ENVIRONMENT, "RAY_TMPDIR": str(ray)}
    return local_server(folder / "data", [pictures], folder / "server.log", options=options, environment=environment)


def _trained(client: Client) -> Job:
    data = ImageDataBunch.from_folder("digits", size=32, bs=32)
    learn = client.cnn_learner(data, "resnet18", pretrained=False, num_workers=2)
    learn.fit(2)
    assert learn.last_fit_job is not None
    return learn.last_fit_job


def _errors(client: Client, address: str) -> Iterator[str]:
    """What callers are told who ask for what is not to be had, one of them with a token."""
    learn = client.cnn_learner(ImageDataBunch.from_folder("digits", size=32, bs=32), "resnet18", pretrained=False)
    elsewhere = client.cnn_learner(ImageDataBunch.from_folder("/elsewhere"), "resnet18", pretrained=False)
    attempts = (lambda: learn.fit(1, 1e30), lambda: client.job("jobs/nobody-knows"), lambda: elsewhere.fit(1))
    for attempt in attempts:
        with pytest.raises(LearnfleetError) as error:
            attempt()
        yield str(error.value)
    with grpc.insecure_channel(address) as channel:
        jobs = job_service_pb2_grpc.JobServiceStub(channel)
        with pytest.raises(grpc.RpcError) as refused:
            jobs.CancelJob(
                job_service_pb2.CancelJobRequest(name="jobs/nobody-knows"),
                metadata=[("authorization", f"Bearer {IN_CALL}")],
            )
        yield str(refused.value)


def _fails_in_mlflow(client: Client, server: LocalServer) -> None:
    """A job that MLflow, which is gone, is to be told of: what is then logged names the address."""
    learn = client.cnn_learner(ImageDataBunch.from_folder("digits", size=32, bs=32), "resnet18", pretrained=False)
    learn.fit(1)
    until(lambda: "MLflow cannot be reached" in server.log.read_text(), 60)


def _metrics(server: LocalServer) -> str:
    place = re.search(r"metrics at (\S+)", server.log.read_text())
    assert place is not None
    with urllib.request.urlopen(place[1], timeout=20) as answer:
        return str(answer.read().decode())


def _is_whole(spans: list[Span]) -> bool:
    names = [span.name for span in spans]
    return names.count("job.attempt") == 2 and "job.run" in names


def log_lines(run: Run) -> list[dict[str, Any]]:
    return [json.loads(line) for line in run.server.log.read_text().splitlines() if line.startswith("{")]


def worker_lines(run: Run) -> list[dict[str, Any]]:
    """What workers have written to their standard error, where Ray keeps it."""
    found = []
    for path in run.ray.rglob("logs/worker-*.err"):
        for line in path.read_text(errors="replace").splitlines():
            if line.startswith("{") and run.job.name in line:
                found.append(json.loads(line))
    return found


@pytest.mark.slow
def test_one_call_is_one_trace_down_to_the_steps_of_each_worker(run: Run) -> None:
    spans = run.spans()
    by_id = {span.span_id: span for span in spans}
    steps = [span for span in spans if span.name == "step"]

    assert {span.attributes["rank"] for span in steps} == {0, 1}
    for step in steps:
        names, span = [step.name], step
        while span.parent_id in by_id:
            span = by_id[span.parent_id]
            names.append(span.name)
        assert names == ["step", "epoch", "job.attempt", "learnfleet.v1.TrainingService/Train"]
    calls = {span.span_id for span in spans if span.name.endswith("/Train")}  # several while workers were starting
    parents = {span.parent_id for span in spans if span.name.startswith("job.")}
    assert len(parents) == 1
    assert parents <= calls
    assert {span.service for span in spans} == {"learnfleet-server", "learnfleet-worker"}


@pytest.mark.slow
def test_epochs_of_a_trace_follow_each_other_within_their_attempt(run: Run) -> None:
    spans = run.spans()
    for attempt in (span for span in spans if span.name == "job.attempt"):
        epochs = sorted((span for span in spans if span.parent_id == attempt.span_id), key=lambda span: span.start_ns)
        assert [span.attributes["epoch"] for span in epochs] == [0, 1]
        assert attempt.start_ns <= epochs[0].start_ns
        assert epochs[0].end_ns <= epochs[1].start_ns
        assert epochs[1].end_ns <= attempt.end_ns


@pytest.mark.slow
def test_metrics_tell_of_the_training(run: Run) -> None:
    values = dict(re.findall(r"^(learnfleet_\w+(?:\{[^}]*\})?) (\S+)$", run.metrics, re.MULTILINE))

    for name in ("leader", "ray_up", "store_up", 'outbox_up{consumer="mlflow"}'):
        assert values[f"learnfleet_{name}"] == "1.0", name
    assert float(values["learnfleet_train_images_total"]) >= 2 * 200
    assert float(values["learnfleet_train_steps_total"]) >= 2 * 5
    assert float(values["learnfleet_train_step_seconds_sum"]) > 0
    assert float(values["learnfleet_event_lag_seconds_count"]) > 0
    assert float(values['learnfleet_slots{kind="cpu"}']) >= 2
    assert values['learnfleet_job_transitions_total{cause="",kind="train",state="succeeded"}'] == "1.0"


@pytest.mark.slow
def test_each_line_of_the_log_is_json(run: Run) -> None:
    plain = [line for line in run.server.log.read_text().splitlines() if not line.startswith("{")]
    printed = ("learnfleet ", "data directory", "Ray ", "MLflow ", "metrics")  # who listens where

    assert len(log_lines(run)) > 10
    assert [line for line in plain if not line.startswith(printed)] == []


@pytest.mark.slow
def test_lines_of_workers_name_job_rank_epoch_and_trace(run: Run) -> None:
    lines = worker_lines(run)

    assert {line["rank"] for line in lines} == {0, 1}
    assert all(line["learner"] == run.job.learner and line["trace_id"] == run.trace_id for line in lines)
    assert {line["epoch"] for line in lines if line["message"].startswith("epoch")} == {0, 1}


@pytest.mark.slow
def test_lines_of_the_server_name_the_job_they_are_about(run: Run) -> None:
    states = [line["message"].split()[2] for line in log_lines(run) if line.get("job") == run.job.name]

    assert states[-3:] == ["STARTING", "RUNNING", "SUCCEEDED"]


@pytest.mark.slow
@pytest.mark.parametrize("secret", SECRETS)
def test_a_secret_is_nowhere(run: Run, secret: str) -> None:
    places = {
        "log": run.server.log.read_bytes(),
        "metrics": run.metrics.encode(),
        "traces": bytes(run.collected.received),
        "answers": "\n".join(run.told).encode(),
    }
    # The store, events, logs of jobs, the audit log, all that MLflow has; logs of Ray, of its workers and its driver.
    for path in itertools.chain(run.folder.rglob("*"), run.ray.rglob("*")):
        if path.is_file() and path.name != "ray-token":
            places[str(path)] = path.read_bytes()

    for some in ("audit", "mlflow.db", "logs/raylet.out", "logs/gcs_server.out", "logs/python-core-driver", ".err"):
        assert any(some in place for place in places), some
    assert "the data roots are" in "\n".join(run.told)  # of which one has a password
    assert [place for place, content in places.items() if secret.encode() in content] == []


def command(*arguments: str) -> str:
    """What a command prints, on both streams."""
    learnfleet = str(Path(sys.executable).with_name("learnfleet"))
    done = subprocess.run(
        [learnfleet, *arguments],
        env={**os.environ, **ENVIRONMENT},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.stdout + done.stderr


def test_the_settings_are_shown_without_their_secrets(tmp_path: Path) -> None:
    store = f"postgresql://jobs:{IN_STORE}@127.0.0.1:1/learnfleet"
    uri = f"http://learnfleet:{IN_MLFLOW_URI}@mlflow:5000"
    root = f"s3://reader:{IN_ROOT}@bucket/pictures"
    flags = ("--data-dir", str(tmp_path), "--store", store, "--mlflow-uri", uri, "--data-root", root)

    shown = command("config", "show", *flags) + command("config", "show", "--json", *flags)

    assert "127.0.0.1:1/learnfleet" in shown
    assert [secret for secret in SECRETS if secret in shown] == []


def test_a_database_that_is_away_is_told_of_without_its_password(tmp_path: Path) -> None:
    store = f"postgresql://jobs:{IN_STORE}@127.0.0.1:1/learnfleet"

    told = command("serve", "--data-dir", str(tmp_path), "--store", store, "--listen", "127.0.0.1:0")

    assert "database" in told
    assert [secret for secret in SECRETS if secret in told] == []
