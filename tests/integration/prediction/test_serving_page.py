"""What docs/serving.md tells its reader to type, typed."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from google.protobuf import json_format
from google.protobuf.descriptor_pool import Default
from support.grpcurl import Example, examples
from support.rpc_server import RunningServer

from learnfleet.client import Client

PAGE = Path(__file__).parents[3] / "docs" / "serving.md"
BLOCKS = re.findall(r"^```(python|sh)\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
PYTHON = [code for language, code in BLOCKS if language == "python"]
SHELL = [code.strip() for language, code in BLOCKS if language == "sh"]
# Of a process of its own (test_triton_client.py), of a learner (tests/integration/rpc/test_serving_jobs.py), and of a
# registry (tests/unit/server_tracking/test_split_page.py).
ELSEWHERE = (
    "tritonclient",
    "get_preds",
    "GetPreds",
    "ReadPredictions",
    "Export",
    "export(",
    "SetModelAlias",
    "MlflowClient",
)
OIP = "inference.GRPCInferenceService"


def here(codes: list[str], word: str = "") -> list[str]:
    return [code for code in codes if word in code and not any(other in code for other in ELSEWHERE)]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the reader is: some pictures, one of them broken."""
    for name in ("dog.jpg", "cat.jpg"):
        shutil.copy(pictures / "secret" / "0.png", tmp_path / name)
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    shutil.copytree(pictures / "secret", tmp_path / "photos")
    for name in ("dog.jpg", "broken.jpg"):
        shutil.copy(tmp_path / name, pictures / name)  # beneath the server's data root
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_lines_of_python_run(client: Client, capsys: pytest.CaptureFixture[str]) -> None:
    found = here(PYTHON)
    assert len(found) == 3
    for code in found:
        exec(compile(code, str(PAGE), "exec"), {"client": client})
    assert "PictureError" in repr(client.predict_batch("models/pets@champion", ["broken.jpg"]))
    assert len(capsys.readouterr().out.splitlines()) == 3 + 6


def test_the_commands_run(server: RunningServer) -> None:
    found = here(SHELL, "learnfleet predict")
    assert len(found) == 4
    for code in found:
        main = [sys.executable, "-c", "from learnfleet.client.cli.main import main; main()"]
        command = [*main, *shlex.split(code)[1:], "--server", server.address]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "example", [one for one in examples(PAGE) if one.name not in ELSEWHERE], ids=lambda one: one.name
)
def test_the_json_is_taken_by_its_method(server: RunningServer, content: bytes, example: Example) -> None:
    answers = example.with_file(content).call(server.channel)
    assert answers
    assert all(json_format.MessageToDict(answer) for answer in answers)


def test_every_rpc_of_these_services_has_its_json() -> None:
    shown = {example.path for example in examples(PAGE)}
    services = [Default().FindServiceByName(name) for name in ("learnfleet.v1.PredictionService", OIP)]
    wanted = {f"{service.full_name}/{name}" for service in services for name in service.methods_by_name}
    assert wanted <= shown
