"""An export as an MLflow model: it is loaded by MLflow itself, without a server of ours, and holds no pickle."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.faults.servers import free_port
from support.golden_exports import FORMATS, golden_answer, golden_export, golden_picture
from support.pickles import pickles_in

from learnfleet.server.tracking.mlflow_client import SAFE
from learnfleet.server.tracking.mlflow_model import write_mlflow_model

START_S = 120


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("mlflow") / "model"
    write_mlflow_model(golden_export(), target)
    return target


def test_it_has_two_flavours_a_signature_and_an_example_and_no_pickle(model: Path) -> None:
    described = yaml.safe_load((model / "MLmodel").read_text())
    assert set(described["flavors"]) == {"python_function", "onnx"}
    assert described["flavors"]["python_function"]["loader_module"] == "learnfleet.trainer.mlflow_loader"
    assert json.loads(described["signature"]["inputs"])[0]["name"] == "image"
    assert (model / "input_example.json").exists()
    assert pickles_in(model) == []


def test_writing_it_loads_no_model_in_the_server(tmp_path: Path) -> None:
    code = """
import sys
from pathlib import Path
from learnfleet.server.tracking.mlflow_model import write_mlflow_model
write_mlflow_model(Path(sys.argv[1]), Path(sys.argv[2]))
sys.exit("torch" in sys.modules)
"""
    subprocess.run([sys.executable, "-c", code, str(golden_export()), str(tmp_path / "model")], check=True)


def test_mlflow_loads_it_and_it_answers_as_the_learner_did(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import mlflow.pyfunc
    import pandas

    for name, value in SAFE.items():
        monkeypatch.setenv(name, value)
    loaded = mlflow.pyfunc.load_model(str(model))
    frame = pandas.DataFrame({"image": [golden_picture(), b"no picture"]})
    answers = loaded.predict(frame, params={"top_k": 1})
    check(answers.iloc[0].to_dict())
    assert answers["error"].iloc[1]
    assert len(answers["probabilities"].iloc[0]) == 1
    example = loaded.input_example
    said = json.loads((golden_export() / "example_output.json").read_text())
    assert loaded.predict(example)["class_name"].tolist() == [said["class_name"]]


def check(row: dict[str, Any]) -> None:
    answer = golden_answer()
    assert row["class_name"] == answer["class"]
    assert row["probability"] == pytest.approx(max(answer["probabilities"]), rel=1e-4)
    assert row["error"] is None


def test_mlflow_loads_its_onnx_flavour(model: Path) -> None:
    mlflow_onnx = pytest.importorskip("mlflow.onnx")
    graph = mlflow_onnx.load_model(str(model)).graph
    assert [output.name for output in graph.output] == ["logits", "probabilities"]


def test_an_export_of_an_earlier_format_becomes_a_model_too(tmp_path: Path) -> None:
    import mlflow.pyfunc

    write_mlflow_model(golden_export(FORMATS[0]), tmp_path / "model")
    answer = mlflow.pyfunc.load_model(str(tmp_path / "model")).predict([golden_picture(FORMATS[0])])
    assert answer[0]["class_name"] == golden_answer(FORMATS[0])["class"]


@pytest.fixture
def served(model: Path, tmp_path: Path) -> Iterator[str]:
    """`mlflow models serve` of the model, in a process that knows no server of ours."""
    port = free_port()
    command = [sys.executable, "-m", "mlflow", "models", "serve", "-m", str(model), "-p", str(port)]
    own = {"MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path / 'none.db'}"}
    own["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # MLflow looks for uvicorn there
    environment = {**os.environ, **SAFE, **own}
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "--env-manager", "local", "--workers", "1"],
            stdout=log,
            stderr=log,
            env=environment,
            start_new_session=True,
            cwd=tmp_path,
        )
        try:
            address = f"http://127.0.0.1:{port}"
            until_s = time.monotonic() + START_S
            while not pings(address):
                assert process.poll() is None, (tmp_path / "log").read_text()
                assert time.monotonic() < until_s, (tmp_path / "log").read_text()
                time.sleep(0.2)
            yield address
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, 15)
            process.wait(30)


def pings(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"{address}/ping", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


@pytest.mark.slow  # it starts a web server and torch
def test_mlflow_serves_it_over_rest_and_takes_pictures_as_base64(served: str) -> None:
    pictures = [base64.b64encode(content).decode() for content in (golden_picture(), b"no picture")]
    body = {"dataframe_records": [{"image": picture} for picture in pictures], "params": {"top_k": 1}}
    request = urllib.request.Request(
        f"{served}/invocations", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        content = answer.read()
    assert b"NaN" not in content
    first, broken = json.loads(content)["predictions"]
    check(first)
    assert broken["error"]
    assert broken["class_name"] is None
