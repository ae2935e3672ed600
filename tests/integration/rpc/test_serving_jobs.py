"""What docs/serving.md tells its reader to send of a learner: exports, and predictions of whole data sets."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file
from support.grpcurl import Example, examples
from support.rpc_server import RunningServer

from learnfleet.server import names
from learnfleet.server.domain import JobKind, JobState
from learnfleet.server.workers.run import PREDICTIONS_DIR
from learnfleet.v1 import job_pb2, training_service_pb2
from learnfleet.v1 import prediction_service_pb2 as pb

Make = Callable[..., training_service_pb2.TrainRequest]

PAGE = Path(__file__).parents[3] / "docs" / "serving.md"
EXAMPLES = {example.name: example for example in examples(PAGE)}
SAID = "jobs/0tg3k2m1n4p5"  # the one of the page
MAIN = "from learnfleet.client.cli.main import main; main()"
ROWS = 30


@pytest.fixture(autouse=True)
def trained(server: RunningServer, a_request: Make) -> None:
    job = server.training.Train(a_request(learner_id="pets"), timeout=20)
    server.train_to_a_checkpoint(job.name)


def finish(server: RunningServer, name: str) -> None:
    """As the workers of a GET_PREDS job would: three classes, the most probable is the row's number modulo 3."""
    folder = server.config.job_dir("pets", names.parse_job(name)) / PREDICTIONS_DIR
    folder.mkdir(parents=True)
    targets = np.arange(ROWS) % 3
    columns: dict[str, np.ndarray] = {
        "predictions": np.eye(3, dtype=np.float32)[targets],
        "targets": targets,
        "indices": np.arange(ROWS),
        "losses": np.zeros(ROWS, np.float32),
    }
    save_file(columns, folder / "predictions.safetensors")
    server.finish(name, {"predictions": ROWS})


def test_an_export_is_queued_by_the_json_of_the_page(server: RunningServer) -> None:
    (job,) = EXAMPLES["Export"].call(server.channel)
    assert isinstance(job, job_pb2.Job)
    assert (job.kind, job.state) == (job_pb2.JOB_KIND_EXPORT, job_pb2.JOB_STATE_QUEUED)


def test_predictions_of_a_data_set_are_queued_and_read_by_the_json_of_the_page(server: RunningServer) -> None:
    (job,) = EXAMPLES["GetPreds"].call(server.channel)
    assert isinstance(job, job_pb2.Job)
    assert job.kind == job_pb2.JOB_KIND_GET_PREDS
    finish(server, job.name)
    asking = EXAMPLES["ReadPredictions"]
    (rows,) = Example(asking.path, asking.data.replace(SAID, job.name)).call(server.channel)
    assert isinstance(rows, pb.ReadPredictionsResponse)
    assert (rows.rows, list(rows.shape)) == (ROWS, [3])


def test_the_command_queues_the_job_and_prints_its_rows(server: RunningServer) -> None:
    def run(*options: str) -> str:
        command = [sys.executable, "-c", MAIN, "preds", "learners/pets", "--server", server.address, *options]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            finish(server, names.job_name(queued(server)))
            said, _ = process.communicate(timeout=60)
            assert process.returncode == 0
        return said

    rows = [json.loads(line) for line in run("--json", "--with-loss").splitlines()]
    assert [row["index"] for row in rows] == list(range(ROWS))
    assert rows[4] == {"index": 4, "prediction": [0.0, 1.0, 0.0], "target": 1, "loss": 0.0}
    shown = run()
    assert f"{ROWS} items, predictions of shape [3]" in shown
    assert "0.0000 1.0000 0.0000" in shown


def queued(server: RunningServer) -> str:
    """The id of the GET_PREDS job, when it is there."""
    for _ in range(600):
        jobs = [server.store.get_job(job_id) for job_id in server.runtime.queued]
        for job in jobs:
            if job.kind is JobKind.GET_PREDS and job.state is JobState.QUEUED:
                return str(job.id)
        time.sleep(0.05)
    raise AssertionError("nothing was queued")
