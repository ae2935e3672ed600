"""Wrong requests: every wrong field is named as the caller wrote it, and nothing is left in the store."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from pathlib import Path

import grpc
import pytest
from support.pictures import a_class_folder, a_data_folder
from support.rpc_server import RunningServer, refusal
from support.wrong_requests import WRONG, rates

from learnfleet.server.store.base import Page
from learnfleet.v1 import (
    job_pb2,
    learner_pb2,
    training_service_pb2,
)

Make = Callable[..., training_service_pb2.TrainRequest]
INVALID = grpc.StatusCode.INVALID_ARGUMENT


def nothing_is_left(server: RunningServer) -> bool:
    jobs, _ = server.store.list_jobs(Page())
    learners, _ = server.store.list_learners(Page())
    return not (jobs or learners or server.runtime.queued)


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_field_is_named_with_what_would_be_right_and_nothing_is_left(
    server: RunningServer, a_request: Make, case: str
) -> None:
    change, field, right = WRONG[case]
    request = a_request()
    change(request)
    refused = refusal(lambda: server.training.Train(request, timeout=20))
    assert refused.code is INVALID
    assert right in refused.violations[field]
    assert refused.fields == {field}
    assert nothing_is_left(server)


def test_all_wrong_fields_are_named_at_once(server: RunningServer, a_request: Make) -> None:
    request = a_request()
    expected = set()
    for case in ("unknown architecture", "unknown metric", "folder outside", "epochs", "request id", "weight decay"):
        change, field, _ = WRONG[case]
        change(request)
        expected.add(field)
    assert refusal(lambda: server.training.Train(request, timeout=20)).fields == expected


def test_an_ill_formed_learner_name_is_named_beside_the_other_wrong_fields(
    server: RunningServer, a_request: Make
) -> None:
    request = a_request(learner="pets", stages=[job_pb2.Stage(fit=job_pb2.Fit())])
    assert refusal(lambda: server.training.Train(request, timeout=20)).fields == {"learner", "stages[0].fit.epochs"}


def test_more_wrong_fields_than_a_trailer_holds_still_reach_the_caller(server: RunningServer, a_request: Make) -> None:
    wrong = job_pb2.Stage(fit=job_pb2.Fit(epochs=-1, lr=learner_pb2.LearningRate(value=math.nan)))
    request = a_request(stages=[wrong] * 100)
    request.learner_spec.architecture = "ü" * 100_000
    refused = refusal(lambda: server.training.Train(request, timeout=20))
    assert refused.code is INVALID
    assert "learner_spec.architecture" in refused.fields
    assert refused.violations[""].startswith("and ")


def test_lists_of_millions_are_refused_unread(server: RunningServer, a_request: Make) -> None:
    request = a_request()
    request.learner_spec.head.lin_ftrs.extend([0] * 1_000_000)
    request.learner_spec.data.normalization.stats.mean.extend([math.nan] * 1_000_000)
    refused = refusal(lambda: server.training.Train(request, timeout=20))
    assert "has 1000000 items" in refused.violations["learner_spec.head.lin_ftrs"]
    assert "has 1000000 values" in refused.violations["learner_spec.data.normalization.stats.mean"]


def test_a_class_without_a_valid_picture_is_named(server: RunningServer, a_request: Make, root: Path) -> None:
    for picture in (a_data_folder(root / "broken") / "train" / "ant").iterdir():
        picture.write_bytes(picture.read_bytes()[:20])
    request = a_request()
    request.learner_spec.data.folder.path = "broken"
    refused = refusal(lambda: server.training.Train(request, timeout=20))
    assert "ant" in refused.violations["learner_spec.data.folder.path"]
    assert nothing_is_left(server)


def test_a_folder_whose_names_are_not_utf8_is_answered_in_utf8(
    server: RunningServer, a_request: Make, root: Path
) -> None:
    a_class_folder(root / "latin1" / os.fsdecode(b"caf\xe9"), 2)
    request = a_request()
    request.learner_spec.data.folder.path = "latin1"
    refused = refusal(lambda: server.training.Train(request, timeout=20))
    assert refused.code is INVALID
    assert "caf" in refused.message


def test_a_link_that_leads_out_of_the_root_is_refused(server: RunningServer, a_request: Make, root: Path) -> None:
    link = root / "way-out"
    link.symlink_to("/etc")
    request = a_request()
    request.learner_spec.data.folder.path = "way-out"
    refused = refusal(lambda: server.training.Train(request, timeout=20))
    assert "not beneath" in refused.violations["learner_spec.data.folder.path"]


def test_lists_of_one_a_layer_group_are_left_to_the_workers_where_only_they_know_the_groups(
    server: RunningServer, a_request: Make
) -> None:
    for number, change in enumerate(({"split": ["4"]}, {"cut": 5}, {"architecture": "timm/tf_efficientnet_lite0"})):
        request = a_request(learner_id=f"own{number}", stages=[job_pb2.Stage(fit=job_pb2.Fit(epochs=1, lr=rates(7)))])
        request.learner_spec.MergeFrom(learner_pb2.LearnerSpec(**change))  # type: ignore[arg-type]
        assert server.training.Train(request, timeout=20).name


def test_a_weights_file_that_is_no_safetensors_is_named_before_anything_is_queued(
    server: RunningServer, a_request: Make, root: Path
) -> None:
    (root / "broken.safetensors").write_bytes(b"not tensors at all")
    request = a_request()
    request.learner_spec.weights.file = "broken.safetensors"
    refused = refusal(lambda: server.training.Train(request, timeout=20))
    assert "not a file of plain tensors" in refused.violations["learner_spec.weights.file"]
    assert nothing_is_left(server)
