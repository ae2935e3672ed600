"""How MLflow is had."""

from __future__ import annotations

import os
import threading
from base64 import b64encode
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from learnfleet.server.config import Config
from learnfleet.server.tracking.mlflow_client import mlflow_client


def test_pickled_models_stay_forbidden_whatever_the_environment_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "true")
    mlflow_client(Config(tmp_path, mlflow_uri="http://127.0.0.1:9"))  # nobody is asked yet
    assert os.environ["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] == "false"


class Asked(BaseHTTPRequestHandler):
    """Remembers by whom it was asked, and has nothing."""

    headers_seen: ClassVar[list[str | None]] = []

    def do_GET(self) -> None:
        self.headers_seen.append(self.headers.get("Authorization"))
        body = b'{"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "none"}'
        self.send_response(404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.mark.parametrize(
    ("variables", "sent"),
    [
        (
            {"MLFLOW_TRACKING_USERNAME": "me", "MLFLOW_TRACKING_PASSWORD": "secret"},
            f"Basic {b64encode(b'me:secret').decode()}",
        ),
        ({"MLFLOW_TRACKING_TOKEN": "secret"}, "Bearer secret"),
    ],
)
def test_a_remote_mlflow_is_sent_the_credentials_of_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], sent: str
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    Asked.headers_seen.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), Asked) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        client = mlflow_client(Config(tmp_path, mlflow_uri=f"http://127.0.0.1:{server.server_port}"))
        client.get_experiment_by_name("any")
        server.shutdown()
    assert set(Asked.headers_seen) == {sent}
