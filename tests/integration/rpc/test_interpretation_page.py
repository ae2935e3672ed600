"""What docs/interpretation.md and docs/exports.md tell their reader to send by grpcurl, sent."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from support.grpcurl import Example, examples
from support.interpretations import an_interpretation
from support.rpc_server import RunningServer

from learnfleet.client import Client
from learnfleet.server import names
from learnfleet.server.rpc.ports import FoundModel
from learnfleet.server.workers.run import INTERPRETATION_DIR, INTERPRETATION_FILE
from learnfleet.trainer.export import export_from_checkpoint
from learnfleet.trainer.report import write_report
from learnfleet.v1 import interpretation_service_pb2 as pb
from learnfleet.v1 import job_pb2, training_service_pb2

Make = Callable[..., training_service_pb2.TrainRequest]

DOCS = Path(__file__).parents[3] / "docs"
EXAMPLES = examples(DOCS / "interpretation.md")
TRANSFORM = {"size": [224, 224], "resize_method": "crop", "mean": [0.5, 0.4, 0.3], "std": [0.2, 0.2, 0.2]}
SAID = "interpretations/0tg3k2m1n4p5"  # the one of the page


@pytest.fixture
def interpretation(server: RunningServer, a_request: Make, tmp_path: Path) -> str:
    """What the reader has: a data set, two versions of a model, and an interpretation of it. Its name."""
    with Client.connect(server.address) as client:
        client.datasets.register("pets", "field-trip", wait=False)
    job = server.training.Train(a_request(learner_id="insects"), timeout=20)
    checkpoint = server.train_to_a_checkpoint(job.name)
    spec = server.store.get_learner("insects").spec
    for number, alias in (("1", "champion"), ("2", "challenger")):
        folder = export_from_checkpoint(
            Path(checkpoint.path), tmp_path / f"insects-{number}", spec, ("cat", "dog"), TRANSFORM, {}
        )
        found = FoundModel(f"models/insects/versions/{number}", folder, "insects")
        server.runtime.models[f"models/insects@{alias}"] = found
    job = server.interpretation.Interpret(pb.InterpretRequest(learner="learners/insects"), timeout=20)
    job_id = names.parse_job(job.name)
    folder = server.config.job_dir("insects", job_id) / INTERPRETATION_DIR
    said = an_interpretation(folder)
    (folder / INTERPRETATION_FILE).write_text(json.dumps(said))
    write_report(said, folder)
    server.finish(job.name, {"interpretation_id": job_id})
    return names.interpretation_name(job_id)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_the_json_of_the_page_is_taken_by_its_method(
    server: RunningServer, interpretation: str, example: Example
) -> None:
    sent = Example(example.path, example.data.replace(SAID, interpretation)).with_file(b"a picture")
    answers = sent.call(server.channel)
    assert all(answer.ByteSize() for answer in answers)
    if isinstance(answers[0], job_pb2.Job):
        assert answers[0].kind == job_pb2.JOB_KIND_INTERPRET
        assert answers[0].state == job_pb2.JOB_STATE_QUEUED


def test_every_method_that_the_pages_name_is_sent() -> None:
    assert [example.name for example in EXAMPLES] == [
        "Interpret",
        "GetInterpretation",
        "ReadInterpretationFile",
        "ListInterpretations",
        "CompareVersions",
        "ExplainPrediction",
    ]
    (moving,) = examples(DOCS / "exports.md")  # called in tests/unit/server_tracking/test_model_service.py
    assert moving.messages()
