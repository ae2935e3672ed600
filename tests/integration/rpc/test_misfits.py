"""Rates, weight decays and weights that do not fit the learner's network are told before anything is queued."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import grpc
import pytest
from support.rpc_server import RunningServer, refusal
from support.wrong_requests import rates

from learnfleet.server import names
from learnfleet.server.domain import NewEvent
from learnfleet.server.store.base import Page
from learnfleet.v1 import interpretation_service_pb2, job_pb2, training_service_pb2

Make = Callable[..., training_service_pb2.TrainRequest]
INVALID = grpc.StatusCode.INVALID_ARGUMENT


def nothing_is_left(server: RunningServer) -> bool:
    jobs, _ = server.store.list_jobs(Page())
    learners, _ = server.store.list_learners(Page())
    return not (jobs or learners or server.runtime.queued)


def write_weights(path: Path, shapes: dict[str, list[int]]) -> None:
    """A file of float32 tensors, all zero."""
    header, end = {}, 0
    for name, shape in shapes.items():
        size = 4 * math.prod(shape)
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [end, end + size]}
        end += size
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + bytes(end))


@pytest.mark.parametrize(
    ("stage", "field"),
    [
        (job_pb2.Stage(fit=job_pb2.Fit(epochs=1, lr=rates(2))), "fit.lr.values"),
        (job_pb2.Stage(fit_one_cycle=job_pb2.FitOneCycle(epochs=1, max_lr=rates(4))), "fit_one_cycle.max_lr.values"),
        (job_pb2.Stage(fit_flat_cos=job_pb2.FitFlatCos(epochs=1, lr=rates(2))), "fit_flat_cos.lr.values"),
        (
            job_pb2.Stage(fit_sgdr=job_pb2.FitSgdr(n_cycles=1, cycle_len=1, lr_max=rates(2))),
            "fit_sgdr.lr_max.values",
        ),
        (job_pb2.Stage(lr_find=job_pb2.LrFind(start_lr=rates(2))), "lr_find.start_lr.values"),
        (job_pb2.Stage(lr_find=job_pb2.LrFind(end_lr=rates(2))), "lr_find.end_lr.values"),
        (job_pb2.Stage(fit=job_pb2.Fit(epochs=1, wd_per_group=[0.1, 0.2])), "fit.wd_per_group"),
        (job_pb2.Stage(freeze_to=job_pb2.FreezeTo(n=3)), "freeze_to.n"),
    ],
)
def test_a_stage_of_another_number_of_layer_groups_is_refused_with_the_right_one(
    server: RunningServer, a_request: Make, stage: job_pb2.Stage, field: str
) -> None:
    stages = [job_pb2.Stage(fit=job_pb2.Fit(epochs=1)), stage]
    refused = refusal(lambda: server.training.Train(a_request(stages=stages), timeout=20))
    assert (refused.code, refused.fields) == (INVALID, {f"stages[1].{field}"})
    assert "the learner has 3 layer groups; give" in refused.violations[f"stages[1].{field}"]
    assert nothing_is_left(server)


def test_lists_that_fit_are_queued(server: RunningServer, a_request: Make) -> None:
    stages = [job_pb2.Stage(fit=job_pb2.Fit(epochs=1, lr=rates(count))) for count in (1, 3)]
    server.training.Train(a_request(stages=stages), timeout=20)


def test_weight_decays_of_another_number_and_a_cut_that_leaves_nothing_are_refused(
    server: RunningServer, a_request: Make
) -> None:
    request = a_request()
    request.learner_spec.optimizer.wd_per_group.extend([0.1, 0.2])
    refused = refusal(lambda: server.training.Train(request, timeout=20))
    assert refused.fields == {"learner_spec.optimizer.wd_per_group"}
    request.learner_spec.cut = 0
    assert refusal(lambda: server.training.Train(request, timeout=20)).fields == {"learner_spec.cut"}
    assert nothing_is_left(server)


def test_where_the_groups_cannot_be_known_the_job_is_left_to_tell(server: RunningServer, a_request: Make) -> None:
    request = a_request(stages=[job_pb2.Stage(fit=job_pb2.Fit(epochs=1, lr=rates(2)))])
    request.learner_spec.split.append("1")
    server.training.Train(request, timeout=20)


def test_the_groups_that_the_last_job_told_decide_for_a_learner_split_on_its_own(
    server: RunningServer, a_request: Make
) -> None:
    request = a_request(learner_id="mine")
    request.learner_spec.split.append("1")
    job = server.training.Train(request, timeout=20)
    groups = [{"modules": 1, "parameters": 1, "trainable": 1}] * 2
    told = {"index": 0, "description": "fit", "stage": {}, "epochs": 1, "trainable": 2, "groups": groups}
    event = NewEvent("stage/0", "stage", told, datetime.now(UTC), 1)
    server.store.append_events(names.parse_job(job.name), [event])
    server.finish(job.name)

    def again(count: int) -> training_service_pb2.TrainRequest:
        return a_request(learner="learners/mine", stages=[job_pb2.Stage(fit=job_pb2.Fit(epochs=1, lr=rates(count)))])

    server.finish(server.training.Train(again(2), timeout=20).name)
    refused = refusal(lambda: server.training.Train(again(3), timeout=20))
    assert "2 layer groups" in refused.violations["stages[0].fit.lr.values"]


@pytest.mark.parametrize(
    ("shapes", "told"),
    [
        ({"conv1.weight": [8, 3, 3, 3]}, "conv1.weight is [8, 3, 3, 3] instead of [64, 3, 7, 7]"),
        ({"features.0.weight": [2]}, "1 missing: conv1.weight. 1 unknown: features.0.weight."),
    ],
)
def test_weights_of_another_architecture_are_refused_by_their_names(
    server: RunningServer, a_request: Make, root: Path, shapes: dict[str, list[int]], told: str
) -> None:
    write_weights(root / "other.safetensors", shapes)
    request = a_request()
    request.learner_spec.weights.file = "other.safetensors"
    refused = refusal(lambda: server.training.Train(request, timeout=20))
    assert (refused.code, refused.fields) == (INVALID, {"learner_spec.weights.file"})
    assert told in refused.violations["learner_spec.weights.file"]
    assert "Give weights of resnet18" in refused.violations["learner_spec.weights.file"]
    show = interpretation_service_pb2.ShowBatchRequest(learner_spec=request.learner_spec)
    assert refusal(lambda: server.interpretation.ShowBatch(show, timeout=20)).fields == {"learner_spec.weights.file"}
    assert nothing_is_left(server)


def test_a_file_of_weights_that_is_cut_off_is_refused(server: RunningServer, a_request: Make, root: Path) -> None:
    write_weights(root / "short.safetensors", {"conv1.weight": [64, 3, 7, 7]})
    content = (root / "short.safetensors").read_bytes()
    (root / "short.safetensors").write_bytes(content[:-1])
    request = a_request()
    request.learner_spec.weights.file = "short.safetensors"
    refused = refusal(lambda: server.training.Train(request, timeout=20))
    assert "copy it again" in refused.violations["learner_spec.weights.file"]


def test_weights_of_the_architecture_are_taken_with_or_without_a_classifier(
    server: RunningServer, a_request: Make, root: Path
) -> None:
    body = {"conv1.weight": [64, 3, 7, 7]}
    for shapes in (body, {**body, "fc.weight": [5, 2]}):
        write_weights(root / "right.safetensors", shapes)
        request = a_request()
        request.learner_spec.weights.file = "right.safetensors"
        server.training.Train(request, timeout=20)
