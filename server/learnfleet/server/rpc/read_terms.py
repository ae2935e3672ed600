"""On what terms a job runs: its priority, its retries, its time."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from learnfleet.server.config import Config
from learnfleet.server.domain import RetryPolicy
from learnfleet.server.rpc.violations import Violations
from learnfleet.v1 import job_pb2
from learnfleet.v1 import training_service_pb2 as pb

_PRIORITIES = (-100, 100)
_MAX_RETRIES = 1000
_MAX_TIMEOUT_S = 366 * 86_400


@dataclass(frozen=True)
class Terms:
    """What is agreed of a job beside its work."""

    priority: int = 0
    retry_policy: RetryPolicy = dataclasses.field(default_factory=RetryPolicy)
    timeout_s: float | None = None  # from when it is accepted; None: no limit


def default_terms(config: Config) -> Terms:
    """Those of a job that asks for none."""
    return Terms(retry_policy=RetryPolicy(worker_lost=config.max_restarts, server=config.max_restarts))


def read_terms(request: pb.TrainRequest, found: Violations, config: Config) -> Terms:
    found.number("priority", request.priority, *_PRIORITIES)
    timeout_s = None
    if request.HasField("timeout"):
        timeout_s = request.timeout.seconds + request.timeout.nanos * 1e-9
        found.number("timeout", timeout_s, 1, _MAX_TIMEOUT_S)
    retry_policy = _read_retry_policy(request.retry_policy, default_terms(config).retry_policy, found)
    return Terms(request.priority, retry_policy, timeout_s)


def _read_retry_policy(message: job_pb2.RetryPolicy, default: RetryPolicy, found: Violations) -> RetryPolicy:
    given = {field.name: value for field, value in message.ListFields()}
    for name, value in given.items():
        found.number(f"retry_policy.{name}", value, 0, _MAX_RETRIES)
    return dataclasses.replace(default, **given)
