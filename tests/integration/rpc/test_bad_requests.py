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

from learnfleet.server.store.base import Page
from learnfleet.v1 import (
    interpretation_service_pb2,
    job_pb2,
    job_service_pb2,
    learner_pb2,
    prediction_service_pb2,
    training_service_pb2,
)

Make = Callable[..., training_service_pb2.TrainRequest]
Change = Callable[[training_service_pb2.TrainRequest], object]
INVALID = grpc.StatusCode.INVALID_ARGUMENT


def nothing_is_left(server: RunningServer) -> bool:
    jobs, _ = server.store.list_jobs(Page())
    learners, _ = server.store.list_learners(Page())
    return not (jobs or learners or server.runtime.queued)


def a_component(name: str, **arguments: object) -> learner_pb2.Component:
    component = learner_pb2.Component(name=name)
    component.arguments.update(arguments)
    return component


WRONG: dict[str, tuple[Change, str, str]] = {
    "unknown architecture": (
        lambda r: setattr(r.learner_spec, "architecture", "resnet81"),
        "learner_spec.architecture",
        "resnet18",
    ),
    "no architecture": (
        lambda r: r.learner_spec.ClearField("architecture"),
        "learner_spec.architecture",
        "is empty",
    ),
    "no data": (lambda r: r.learner_spec.ClearField("data"), "learner_spec.data.folder", "missing"),
    "missing folder": (
        lambda r: setattr(r.learner_spec.data.folder, "path", "nowhere"),
        "learner_spec.data.folder.path",
        "does not exist",
    ),
    "folder outside": (
        lambda r: setattr(r.learner_spec.data.folder, "path", "/etc"),
        "learner_spec.data.folder.path",
        "data roots are",
    ),
    "folder above": (
        lambda r: setattr(r.learner_spec.data.folder, "path", "pets/../.."),
        "learner_spec.data.folder.path",
        "data roots are",
    ),
    "path too long for the file system": (
        lambda r: setattr(r.learner_spec.data.folder, "path", "a" * 300),
        "learner_spec.data.folder.path",
        "does not exist",
    ),
    "endless path": (
        lambda r: setattr(r.learner_spec.data.folder, "path", "a/" * 100_000),
        "learner_spec.data.folder.path",
        "too long",
    ),
    "zero byte": (
        lambda r: setattr(r.learner_spec.data.folder, "path", "pets\0"),
        "learner_spec.data.folder.path",
        "zero byte",
    ),
    "train folder outside": (
        lambda r: setattr(r.learner_spec.data.folder, "train", "../../etc"),
        "learner_spec.data.folder.train",
        "inside path",
    ),
    "valid_pct": (
        lambda r: setattr(r.learner_spec.data.folder, "valid_pct", 1.0),
        "learner_spec.data.folder.valid_pct",
        "less than 1",
    ),
    "valid_pct not a number": (
        lambda r: setattr(r.learner_spec.data.folder, "valid_pct", math.nan),
        "learner_spec.data.folder.valid_pct",
        "nan",
    ),
    "size": (
        lambda r: r.learner_spec.data.size.MergeFrom(learner_pb2.Size(rows=4, columns=32)),
        "learner_spec.data.size.rows",
        "from 8 to 1024",
    ),
    "batch size": (
        lambda r: setattr(r.learner_spec.data, "batch_size", -1),
        "learner_spec.data.batch_size",
        "from 1 to",
    ),
    "fewer pictures a batch than workers": (
        lambda r: (setattr(r.learner_spec.data, "batch_size", 2), setattr(r.resources, "num_workers", 3)),
        "learner_spec.data.batch_size",
        "3 workers",
    ),
    "transforms": (
        lambda r: setattr(r.learner_spec.data.transforms, "max_zoom", math.inf),
        "learner_spec.data.transforms.max_zoom",
        "from 1 to 10",
    ),
    "normalization": (
        lambda r: setattr(r.learner_spec.data.normalization, "preset", "imagenot"),
        "learner_spec.data.normalization.preset",
        "imagenet",
    ),
    "std of zero": (
        lambda r: r.learner_spec.data.normalization.stats.MergeFrom(
            learner_pb2.ChannelStats(mean=[0, 0, 0], std=[1, 0, 1])
        ),
        "learner_spec.data.normalization.stats.std[1]",
        "greater than 0",
    ),
    "unknown metric": (
        lambda r: r.learner_spec.metrics.append(a_component("acuracy")),
        "learner_spec.metrics[0].name",
        "accuracy",
    ),
    "metric twice": (
        lambda r: r.learner_spec.metrics.extend([a_component("accuracy")] * 2),
        "learner_spec.metrics[1].name",
        "twice",
    ),
    "unknown argument": (
        lambda r: r.learner_spec.metrics.append(a_component("top_k_accuracy", n=3)),
        "learner_spec.metrics[0].arguments.n",
        "k (int, default 5)",
    ),
    "argument of another type": (
        lambda r: r.learner_spec.metrics.append(a_component("top_k_accuracy", k=2.5)),
        "learner_spec.metrics[0].arguments.k",
        "int",
    ),
    "argument that is no number": (
        lambda r: r.learner_spec.loss.MergeFrom(a_component("smoothed", eps=math.nan)),
        "learner_spec.loss.arguments.eps",
        "finite",
    ),
    "argument that is endless": (
        lambda r: r.learner_spec.metrics.append(a_component("top_k_accuracy", k=math.inf)),
        "learner_spec.metrics[0].arguments.k",
        "int",
    ),
    "dropout": (lambda r: r.learner_spec.head.ps.append(1.0), "learner_spec.head.ps[0]", "less than 1"),
    "weight decay": (
        lambda r: setattr(r.learner_spec.optimizer, "wd", math.nan),
        "learner_spec.optimizer.wd",
        "from 0 to 10",
    ),
    "optimizer": (
        lambda r: setattr(r.learner_spec.optimizer, "name", "lion"),
        "learner_spec.optimizer.name",
        "adam, sgd",
    ),
    "weights file of another kind": (
        lambda r: setattr(r.learner_spec.weights, "file", "pets"),
        "learner_spec.weights.file",
        ".safetensors",
    ),
    "weights file outside": (
        lambda r: setattr(r.learner_spec.weights, "file", "/etc/passwd"),
        "learner_spec.weights.file",
        "data roots are",
    ),
    "learner id": (lambda r: setattr(r, "learner_id", "Not OK"), "learner_id", "lower-case"),
    "no stages": (lambda r: r.ClearField("stages"), "stages", "must have 1 to 100"),
    "empty stage": (lambda r: r.stages.add(), "stages[1]", "fit_one_cycle"),
    "epochs": (lambda r: setattr(r.stages[0].fit, "epochs", 0), "stages[0].fit.epochs", "from 1 to 10000"),
    "learning rate": (
        lambda r: setattr(r.stages[0].fit.lr, "value", -0.001),
        "stages[0].fit.lr.value",
        "greater than 0",
    ),
    "learning rate that is no number": (
        lambda r: r.stages[0].fit.lr.slice.MergeFrom(learner_pb2.LearningRate.Slice(start=math.nan, stop=1)),
        "stages[0].fit.lr.slice.start",
        "nan",
    ),
    "pct_start": (
        lambda r: r.stages.add().fit_one_cycle.MergeFrom(job_pb2.FitOneCycle(epochs=1, pct_start=1)),
        "stages[1].fit_one_cycle.pct_start",
        "less than 1",
    ),
    "moms": (
        lambda r: r.stages.add().fit_one_cycle.MergeFrom(job_pb2.FitOneCycle(epochs=1, moms=[0.9, 1.0])),
        "stages[1].fit_one_cycle.moms[1]",
        "less than 1",
    ),
    "more workers than there is room for": (
        lambda r: (setattr(r.resources, "num_workers", 5), setattr(r.learner_spec.data, "batch_size", 8)),
        "resources.num_workers",
        "lower it to 4",
    ),
    "a kind of label that the service does not offer": (
        lambda r: setattr(r.learner_spec.data, "labels", 5),
        "learner_spec.data.labels",
        "5 is no LabelKind",
    ),
    "GPUs where there are none": (
        lambda r: setattr(r.resources, "gpus_per_worker", 1),
        "resources.num_workers",
        "GPU slots",
    ),
    "checkpoints kept": (
        lambda r: setattr(r.checkpoint_policy, "keep_last", 1),
        "checkpoint_policy.keep_last",
        "from 2",
    ),
    "request id": (lambda r: setattr(r, "request_id", "again"), "request_id", "UUID"),
}


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


@pytest.mark.parametrize(
    ("service", "rpc", "request_", "fields"),
    [
        ("jobs", "GetJob", job_service_pb2.GetJobRequest(name="x"), {"name"}),
        ("jobs", "ListJobs", job_service_pb2.ListJobsRequest(page_size=-1, states=[99]), {"page_size", "states[0]"}),
        ("jobs", "ListJobs", job_service_pb2.ListJobsRequest(page_token="x"), {"page_token"}),
        ("training", "GetLearner", training_service_pb2.GetLearnerRequest(name="jobs/x"), {"name"}),
        ("training", "Save", training_service_pb2.SaveRequest(), {"learner", "checkpoint_id"}),
        ("training", "Load", training_service_pb2.LoadRequest(checkpoint="learners/x"), {"checkpoint"}),
        (
            "training",
            "Export",
            training_service_pb2.ExportRequest(learner="x", aliases=["ok", "1"], request_id="x"),
            {"learner", "aliases[1]", "request_id"},
        ),
        (
            "interpretation",
            "Interpret",
            interpretation_service_pb2.InterpretRequest(learner="x", top_losses=101, min_confused=-1),
            {"learner", "top_losses", "min_confused"},
        ),
        (
            "interpretation",
            "GetInterpretation",
            interpretation_service_pb2.GetInterpretationRequest(name="x"),
            {"name"},
        ),
        (
            "prediction",
            "Predict",
            prediction_service_pb2.PredictRequest(model="x", top_k=-1),
            {"model", "image", "top_k"},
        ),
        (
            "prediction",
            "Predict",
            prediction_service_pb2.PredictRequest(model="learners/x", image=b"1" * (20 * 1024 * 1024 + 1)),
            {"image"},
        ),
    ],
)
def test_every_other_call_names_its_wrong_fields(
    server: RunningServer, service: str, rpc: str, request_: object, fields: set[str]
) -> None:
    call = getattr(getattr(server, service), rpc)
    refused = refusal(lambda: call(request_, timeout=20))
    assert (refused.code, refused.fields) == (INVALID, fields)
