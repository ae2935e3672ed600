"""MLflow's tracking server, or its store in the data directory."""

from __future__ import annotations

import base64
import os
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from sqlalchemy import make_url

from learnfleet.server.config import Config
from learnfleet.server.doctor.finding import Finding, fail, ok, warn
from learnfleet.server.doctor.mounts import is_network_file_system
from learnfleet.server.settings.values import mask

_SUBJECT = "mlflow"
_TIMEOUT_S = 5.0
_MOST_BYTES = 1000


def check_mlflow(config: Config) -> Iterator[Finding]:
    uri = config.tracking_uri
    try:
        ours = version("mlflow")
    except PackageNotFoundError:
        yield fail(_SUBJECT, "mlflow is not installed", "pip install 'learnfleet[server]'")
        return
    if uri.startswith(("http://", "https://")):
        yield _server(uri.rstrip("/"), ours)
    elif uri.startswith("sqlite:"):
        yield _file(Path(make_url(uri).database or ""))
    else:
        yield ok(_SUBJECT, f"{mask(uri)} is opened by mlflow {ours} when the server starts; it is not looked at here")


def _server(uri: str, ours: str) -> Finding:
    try:
        theirs = _get(uri, "/version")
        _get(uri, "/health")
    except urllib.error.HTTPError as error:
        if error.code in (401, 403):
            advice = (
                "set MLFLOW_TRACKING_USERNAME and _PASSWORD, or MLFLOW_TRACKING_TOKEN, to those of a user that it has"
            )
            return warn(_SUBJECT, f"{mask(uri)} does not let this user in (HTTP {error.code})", advice)
        return fail(_SUBJECT, f"{mask(uri)} answers with HTTP {error.code}", "see its log; is that MLflow's address?")
    except (OSError, ValueError) as error:
        why = getattr(error, "reason", error)
        advice = "start it, and let this machine reach it; jobs run without it, and MLflow hears of them later"
        return fail(_SUBJECT, f"{mask(uri)} does not answer: {why}", advice)
    if theirs.partition(".")[0] != ours.partition(".")[0]:
        advice = "run the same major version of mlflow on both sides"
        return warn(_SUBJECT, f"{mask(uri)} is mlflow {theirs[:20]}, and this is {ours}", advice)
    return ok(_SUBJECT, f"{mask(uri)} answers, with mlflow {theirs[:20]}")


def _get(uri: str, path: str) -> str:
    """As mlflow would ask: as the user of the URI, or of its variables in the environment."""
    parts = urllib.parse.urlsplit(uri)
    bare = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
    request = urllib.request.Request(bare + path, headers=_authorization(parts.username, parts.password))
    with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as answer:
        return str(answer.read(_MOST_BYTES).decode(errors="replace")).strip()


def _authorization(name: str | None, password: str | None) -> dict[str, str]:
    if name is not None:
        name, password = urllib.parse.unquote(name), urllib.parse.unquote(password or "")
    else:
        name, password = os.environ.get("MLFLOW_TRACKING_USERNAME"), os.environ.get("MLFLOW_TRACKING_PASSWORD", "")
    if name:
        return {"Authorization": f"Basic {base64.b64encode(f'{name}:{password}'.encode()).decode()}"}
    token = os.environ.get("MLFLOW_TRACKING_TOKEN")
    return {"Authorization": f"Bearer {token}"} if token else {}


def _file(path: Path) -> Finding:
    if is_network_file_system(path):
        advice = "put it on a local disk, or run a tracking server (--mlflow-uri)"
        return fail(_SUBJECT, f"{path} is on a network file system, where SQLite loses data", advice)
    there = "is there" if path.is_file() else "is not there yet: the first start makes it"
    return ok(_SUBJECT, f"{path} {there}")
