"""Stages, resources and policies from protobuf, with everything that is wrong with them."""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Sequence
from typing import Literal, TypeAlias

from learnfleet.server.domain import CheckpointPolicy, Resources
from learnfleet.server.rpc.ports import Capacity
from learnfleet.server.rpc.violations import Violations
from learnfleet.trainer.keep_policy import LOSSES, KeepBest
from learnfleet.trainer.spec_base import Component
from learnfleet.v1 import interpretation_service_pb2, learner_pb2, prediction_service_pb2, training_service_pb2
from learnfleet.v1 import job_pb2 as pb

ExamineRequest: TypeAlias = (
    interpretation_service_pb2.InterpretRequest
    | interpretation_service_pb2.ShowBatchRequest
    | interpretation_service_pb2.ShowResultsRequest
    | prediction_service_pb2.GetPredsRequest
    | training_service_pb2.ValidateRequest
)

_MAX_WORKERS = 4096
_MAX_KEPT = 1000
_MODES: tuple[Literal["auto", "min", "max"], ...] = ("auto", "min", "max")


def read_resources(
    message: pb.Resources, default: Resources, field: str, found: Violations, capacity: Capacity
) -> Resources:
    """What to run on; where nothing is said of the number of workers, or of GPUs, that of `default`."""
    has_number = message.num_workers or message.min_workers or message.max_workers
    gpus = message.gpus_per_worker if has_number or message.gpus_per_worker else default.gpus_per_worker
    found.number(f"{field}.gpus_per_worker", gpus, 0, 1)
    if not has_number:
        wanted = dataclasses.replace(default, gpus_per_worker=gpus)
    else:
        wanted = Resources(
            message.num_workers or _within(default.num_workers, message.min_workers, message.max_workers),
            gpus,
            message.min_workers or None,
            message.max_workers or None,
        )
    found.number(f"{field}.num_workers", wanted.num_workers, 1, _MAX_WORKERS)
    found.number(f"{field}.min_workers", wanted.least, 1, max(1, wanted.num_workers))
    found.number(f"{field}.max_workers", wanted.most, wanted.num_workers, _MAX_WORKERS)
    _check_capacity(wanted, field, found, capacity)
    return wanted


def _within(number: int, least: int, most: int) -> int:
    """`number`, or the bound next to it; 0 is no bound."""
    return min(max(number, least), most or _MAX_WORKERS)


def _check_capacity(wanted: Resources, field: str, found: Violations, capacity: Capacity) -> None:
    kind, slots = "GPU" if wanted.gpus_per_worker else "CPU", capacity.most(gpu=bool(wanted.gpus_per_worker))
    if slots is not None and wanted.least > slots:
        name = "num_workers" if wanted.min_workers is None else "min_workers"
        has, more = ("grows to", "have it grow to more") if capacity.elastic else ("has", "add nodes")
        found.add(
            f"{field}.{name}",
            f"{wanted.least} workers need {wanted.least} {kind} slots, but this cluster {has} {slots}; "
            + (f"lower it to {slots} or less, or {more}" if slots else "use the other kind"),
        )


def read_checkpoint_policy(message: pb.CheckpointPolicy, found: Violations) -> CheckpointPolicy:
    field = "checkpoint_policy"
    default = CheckpointPolicy()
    every_s = message.every.seconds + message.every.nanos * 1e-9 if message.HasField("every") else default.every_s
    keep_last = message.keep_last or default.keep_last
    found.number(f"{field}.every", every_s, 0.1, 86_400)
    found.number(f"{field}.every_steps", message.every_steps, 0, 2**31 - 1)
    found.number(f"{field}.keep_last", keep_last, 2, _MAX_KEPT)
    found.number(f"{field}.keep_every", message.keep_every, 0, 2**31 - 1)
    best = _read_keep_best(message.keep_best, f"{field}.keep_best", found) if message.HasField("keep_best") else None
    return CheckpointPolicy(every_s, message.every_steps or None, keep_last, best, message.keep_every or None)


def _read_keep_best(message: pb.KeepBest, field: str, found: Violations) -> KeepBest:
    mode = next((mode for mode in _MODES if mode == (message.mode or "auto")), None)
    found.check(mode is not None, f"{field}.mode", f"'{message.mode[:40]}' must be one of {', '.join(_MODES)}")
    found.number(f"{field}.count", message.count, 0, _MAX_KEPT)
    return KeepBest(message.monitor or "valid_loss", mode or "auto", message.count or 1)


def check_monitor(policy: CheckpointPolicy, metrics: Sequence[Component], found: Violations) -> None:
    """What the best are chosen by must be measured. Which names metrics have only the workers know."""
    best = policy.keep_best
    if best is not None and best.monitor not in LOSSES and not metrics:
        known = ", ".join(LOSSES)
        told = f"'{best.monitor[:80]}' is not measured: the learner has no metrics; give it that one, or use {known}"
        found.add("checkpoint_policy.keep_best.monitor", told)


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
