"""Stages, resources and policies from protobuf, with everything that is wrong with them."""

from __future__ import annotations

import math
import uuid
from collections.abc import Sequence
from typing import TypeAlias

from learnfleet.server.domain import CheckpointPolicy, Resources
from learnfleet.server.rpc.ports import Capacity
from learnfleet.server.rpc.violations import Violations
from learnfleet.trainer.spec import FitOneCycleStage, FitStage, FreezeStage, LearningRate, Stage
from learnfleet.v1 import interpretation_service_pb2, learner_pb2, prediction_service_pb2, training_service_pb2
from learnfleet.v1 import job_pb2 as pb

ExamineRequest: TypeAlias = (
    interpretation_service_pb2.InterpretRequest
    | interpretation_service_pb2.ShowBatchRequest
    | interpretation_service_pb2.ShowResultsRequest
    | prediction_service_pb2.GetPredsRequest
    | training_service_pb2.ValidateRequest
)

_MAX_STAGES = 100
_MAX_GROUPS = 1000
_MAX_EPOCHS = 10_000
_MAX_LR = 1e3
_MAX_WORKERS = 4096
_MAX_FACTOR = 1e12


def read_stages(messages: Sequence[pb.Stage], found: Violations) -> tuple[Stage, ...]:
    """The stages that could be read; for the others `found` has violations."""
    if not found.check(
        0 < len(messages) <= _MAX_STAGES, "stages", f"has {len(messages)}; must have 1 to {_MAX_STAGES}"
    ):
        return ()
    read = [_read_stage(message, f"stages[{index}]", found) for index, message in enumerate(messages)]
    return tuple(stage for stage in read if stage is not None)


def _read_stage(message: pb.Stage, field: str, found: Violations) -> Stage | None:
    action = message.WhichOneof("action")
    if action == "fit":
        return _read_fit(message.fit, f"{field}.fit", found)
    if action == "fit_one_cycle":
        return _read_one_cycle(message.fit_one_cycle, f"{field}.fit_one_cycle", found)
    if action == "freeze":
        return FreezeStage(-1)
    if action == "unfreeze":
        return FreezeStage(0)
    if action == "freeze_to":
        found.number(f"{field}.freeze_to.n", message.freeze_to.n, -100, 100)
        return FreezeStage(message.freeze_to.n)
    found.add(field, "is empty; must be one of fit, fit_one_cycle, freeze, unfreeze, freeze_to")
    return None


def _read_fit(message: pb.Fit, field: str, found: Violations) -> FitStage:
    found.number(f"{field}.epochs", message.epochs, 1, _MAX_EPOCHS)
    lr = _read_lr(message.lr, f"{field}.lr", found) if message.HasField("lr") else LearningRate(stop=3e-3)
    return FitStage(message.epochs, lr, _read_wd(message, field, found))


def _read_one_cycle(message: pb.FitOneCycle, field: str, found: Violations) -> FitOneCycleStage:
    found.number(f"{field}.epochs", message.epochs, 1, _MAX_EPOCHS)
    max_lr = _read_lr(message.max_lr, f"{field}.max_lr", found) if message.HasField("max_lr") else None
    moms = tuple(message.moms) or (0.95, 0.85)
    found.check(len(moms) == 2, f"{field}.moms", f"has {len(moms)} values; must have 2: at the start and at the peak")
    for index, momentum in enumerate(moms[:2]):
        is_right = 0 <= momentum < 1
        found.check(is_right, f"{field}.moms[{index}]", f"is {momentum:g}; must be at least 0 and less than 1")
    div_factor = message.div_factor if message.HasField("div_factor") else 25.0
    pct_start = message.pct_start if message.HasField("pct_start") else 0.3
    final_div = message.final_div if message.HasField("final_div") else None
    found.number(f"{field}.div_factor", div_factor, 1, _MAX_FACTOR)
    found.number(f"{field}.pct_start", pct_start, 0, 1, open_ends=True)
    if final_div is not None:
        found.number(f"{field}.final_div", final_div, 1, _MAX_FACTOR)
    return FitOneCycleStage(
        message.epochs,
        max_lr or LearningRate(stop=3e-3),
        moms,
        div_factor,
        pct_start,
        final_div,
        _read_wd(message, field, found),
    )


def _read_wd(message: pb.Fit | pb.FitOneCycle, field: str, found: Violations) -> float | None:
    if not message.HasField("wd"):
        return None
    found.number(f"{field}.wd", message.wd, 0, 10)
    return message.wd


def _read_lr(message: learner_pb2.LearningRate, field: str, found: Violations) -> LearningRate:
    form = message.WhichOneof("form")
    if form == "value":
        _check_rate(message.value, f"{field}.value", found)
        return LearningRate(value=message.value)
    if form == "slice":
        start = message.slice.start if message.slice.HasField("start") else None
        if start is not None:
            _check_rate(start, f"{field}.slice.start", found)
        _check_rate(message.slice.stop, f"{field}.slice.stop", found)
        return LearningRate(start=start, stop=message.slice.stop)
    if form == "values":
        values = tuple(message.values.values)
        found.check(bool(values), f"{field}.values", "is empty; must have one value a layer group")
        found.length(f"{field}.values.values", len(values), _MAX_GROUPS)
        for index, value in enumerate(values[:_MAX_GROUPS]):
            _check_rate(value, f"{field}.values.values[{index}]", found)
        return LearningRate(values=values)
    found.add(field, "is empty; must be a value, a slice, or values")
    return LearningRate(stop=3e-3)


def _check_rate(value: float, field: str, found: Violations) -> None:
    is_right = math.isfinite(value) and 0 < value <= _MAX_LR
    found.check(is_right, field, f"is {value:g}; a learning rate must be greater than 0 and at most {_MAX_LR:g}")


def read_resources(
    message: pb.Resources, default: Resources, field: str, found: Violations, capacity: Capacity
) -> Resources:
    """What to run on; fields left out are those of `default`."""
    workers = message.num_workers or default.num_workers
    gpus = message.gpus_per_worker if message.num_workers or message.gpus_per_worker else default.gpus_per_worker
    found.number(f"{field}.num_workers", workers, 1, _MAX_WORKERS)
    found.number(f"{field}.gpus_per_worker", gpus, 0, 1)
    kind, slots = ("GPU", capacity.gpu_slots) if gpus else ("CPU", capacity.cpu_slots)
    if not capacity.elastic and workers > slots:
        found.add(
            f"{field}.num_workers",
            f"{workers} workers need {workers} {kind} slots, but this cluster has {slots}; lower it to {slots} or less"
            + (", or add nodes" if slots else " or use the other kind"),
        )
    return Resources(workers, gpus)


def read_checkpoint_policy(message: pb.CheckpointPolicy, found: Violations) -> CheckpointPolicy:
    field = "checkpoint_policy"
    default = CheckpointPolicy()
    every_s = message.every.seconds + message.every.nanos * 1e-9 if message.HasField("every") else default.every_s
    keep_last = message.keep_last or default.keep_last
    found.number(f"{field}.every", every_s, 0.1, 86_400)
    found.number(f"{field}.every_steps", message.every_steps, 0, 2**31 - 1)
    found.number(f"{field}.keep_last", keep_last, 2, 1000)
    return CheckpointPolicy(every_s, message.every_steps or None, keep_last)


def read_dataset(number: learner_pb2.DatasetType, default: str, found: Violations) -> str:
    """A DatasetType in lower case, as jobs name it."""
    if number == learner_pb2.DATASET_TYPE_UNSPECIFIED:
        return default
    if not found.check(number in learner_pb2.DatasetType.values(), "dataset", f"{number} is no DatasetType"):
        return default
    return str(learner_pb2.DatasetType.Name(number)).removeprefix("DATASET_TYPE_").lower()


def read_request_id(value: str, found: Violations) -> str | None:
    """The id in its canonical form, None where none was given."""
    if not value:
        return None
    try:
        return str(uuid.UUID(value))
    except ValueError:
        found.add("request_id", f"'{value[:60]}' is not a UUID")
        return None
