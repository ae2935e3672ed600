"""Troublesome files of others: each gets what it deserves, alone and in company."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from support.engine_lab import MODEL as LAB_MODEL
from support.engine_lab import PLAIN, Here, only, with_engine
from support.exported_learners import learner_of
from support.pictures import SHARED, unpack_shared
from support.rpc_server import RunningServer
from support.served_models import MODEL

from learnfleet.server.inference.engine import Engine
from learnfleet.server.inference.ports import PictureFile
from learnfleet.v1 import prediction_service_pb2 as pb


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, tuple[bytes, str]]]:
    """(content, what is expected) of the regular files, by their names."""
    root = unpack_shared("awkward.tar.gz", tmp_path_factory.mktemp("awkward")) / "nasty"
    expected = json.loads((SHARED / "data" / "awkward-expected.json").read_text())["files"]
    found = {}
    for name, entry in expected.items():
        path = root / name
        # What is wrong with links is where they lead, and with the ignored where they lie: bytes are neither.
        if not path.is_symlink() and path.is_file() and entry["expect"] != "ignore":
            found[name] = path.read_bytes(), entry["expect"]
    return found


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::RuntimeWarning")
def test_every_file_gets_what_it_deserves_alone_and_the_same_in_a_batch(
    server: RunningServer, files: dict[str, tuple[bytes, str]]
) -> None:
    alone = {name: predict(server, content) for name, (content, _) in files.items()}
    wrong = {name: alone[name] for name, (_, expected) in files.items() if alone[name] not in expected}
    assert wrong == {}
    assert {"ok", "reject"} <= set(alone.values())
    inputs = [pb.Input(image=content) for content, _ in files.values()]
    answer = server.prediction.PredictBatch(pb.PredictBatchRequest(model=MODEL, inputs=inputs), timeout=120)
    together = ["ok" if result.HasField("prediction") else "reject" for result in answer.results]
    assert together == [alone[name] for name in files]
    assert all(result.error.field == "image" for result in answer.results if result.HasField("error"))


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::RuntimeWarning")
def test_a_replica_gives_the_same_verdicts_and_lives_on(
    files: dict[str, tuple[bytes, str]], pictures: Path, tmp_path: Path
) -> None:
    learner_of("category", pictures, tmp_path / "learner").export()
    here = Here(tmp_path)

    async def check(engine: Engine) -> None:
        items = [PictureFile(content) for content, _ in files.values()]
        found = (await engine.infer(LAB_MODEL, items, PLAIN)).items
        verdicts = ["reject" if item.error else "ok" for item in found]
        wrong = [name for name, verdict in zip(files, verdicts, strict=True) if verdict not in files[name][1]]
        assert wrong == []
        assert here.started == 1

    with_engine(here, only(tmp_path / "learner" / "export"), check)


def predict(server: RunningServer, content: bytes) -> str:
    try:
        server.prediction.Predict(pb.PredictRequest(model=MODEL, image=content), timeout=60)
    except grpc.RpcError as error:
        return "reject" if error.code() is grpc.StatusCode.INVALID_ARGUMENT else str(error)
    return "ok"
