"""Training requests with one wrong field each."""

from __future__ import annotations

import math
from collections.abc import Callable

from learnfleet.v1 import job_pb2, learner_pb2, training_service_pb2

Change = Callable[[training_service_pb2.TrainRequest], object]


def a_component(name: str, **arguments: object) -> learner_pb2.Component:
    component = learner_pb2.Component(name=name)
    component.arguments.update(arguments)
    return component


def rates(count: int) -> learner_pb2.LearningRate:
    return learner_pb2.LearningRate(values=learner_pb2.LearningRate.Values(values=[1e-3] * count))


# What is done to a right request, the field that is named then, and a part of what is told of it.
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
        lambda r: setattr(r.learner_spec.data, "labels", 7),
        "learner_spec.data.labels",
        "7 is no LabelKind",
    ),
    "points of pictures that are not listed": (
        lambda r: setattr(r.learner_spec.data, "labels", 5),
        "learner_spec.data.labels",
        "names of folders and files give one class a picture",
    ),
    "GPUs where there are none": (
        lambda r: setattr(r.resources, "gpus_per_worker", 1),
        "resources.num_workers",
        "GPU slots",
    ),
    "at least more workers than it would like": (
        lambda r: r.resources.MergeFrom(job_pb2.Resources(num_workers=2, min_workers=3)),
        "resources.min_workers",
        "from 1 to 2",
    ),
    "at most fewer workers than it would like": (
        lambda r: r.resources.MergeFrom(job_pb2.Resources(num_workers=2, max_workers=1)),
        "resources.max_workers",
        "from 2",
    ),
    "at least more workers than there is room for": (
        lambda r: (setattr(r.resources, "min_workers", 5), setattr(r.learner_spec.data, "batch_size", 8)),
        "resources.min_workers",
        "lower it to 4",
    ),
    "a priority beyond the greatest": (
        lambda r: setattr(r, "priority", 101),
        "priority",
        "from -100 to 100",
    ),
    "checkpoints kept": (
        lambda r: setattr(r.checkpoint_policy, "keep_last", 1),
        "checkpoint_policy.keep_last",
        "from 2",
    ),
    "the best by nothing that is measured": (
        lambda r: r.checkpoint_policy.keep_best.MergeFrom(job_pb2.KeepBest(monitor="f1")),
        "checkpoint_policy.keep_best.monitor",
        "use train_loss, valid_loss",
    ),
    "the best by no order": (
        lambda r: r.checkpoint_policy.keep_best.MergeFrom(job_pb2.KeepBest(mode="best")),
        "checkpoint_policy.keep_best.mode",
        "auto, min, max",
    ),
    "the best of too many": (
        lambda r: r.checkpoint_policy.keep_best.MergeFrom(job_pb2.KeepBest(count=1001)),
        "checkpoint_policy.keep_best.count",
        "to 1000",
    ),
    "kept every minus one": (
        lambda r: setattr(r.checkpoint_policy, "keep_every", -1),
        "checkpoint_policy.keep_every",
        "from 0",
    ),
    "rates for four layer groups of three": (
        lambda r: r.stages.add().fit_one_cycle.MergeFrom(job_pb2.FitOneCycle(epochs=1, max_lr=rates(4))),
        "stages[1].fit_one_cycle.max_lr.values",
        "has 4 values, but the learner has 3 layer groups; give 1 value, or 3",
    ),
    "ends of a search for two layer groups of three": (
        lambda r: r.stages.add().lr_find.MergeFrom(job_pb2.LrFind(end_lr=rates(2))),
        "stages[1].lr_find.end_lr.values",
        "the learner has 3 layer groups",
    ),
    "weight decays of a stage for two layer groups of three": (
        lambda r: r.stages[0].fit.wd_per_group.extend([0.1, 0.2]),
        "stages[0].fit.wd_per_group",
        "has 2 values",
    ),
    "weight decays of a learner for two layer groups of three": (
        lambda r: r.learner_spec.optimizer.wd_per_group.extend([0.1, 0.2]),
        "learner_spec.optimizer.wd_per_group",
        "has 2 values",
    ),
    "a freeze beyond the last layer group": (
        lambda r: r.stages.add(freeze_to=job_pb2.FreezeTo(n=3)),
        "stages[1].freeze_to.n",
        "give -3 to 2",
    ),
    "request id": (lambda r: setattr(r, "request_id", "again"), "request_id", "UUID"),
}
