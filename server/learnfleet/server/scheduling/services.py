"""What controllers work with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Event

from learnfleet.server.config import Config
from learnfleet.server.scheduling.pool import GroupPool
from learnfleet.server.scheduling.retries import backoff_s
from learnfleet.server.store.base import Store
from learnfleet.server.telemetry.metrics import Metrics


@dataclass(frozen=True)
class Services:
    """The parts of the server that a job is run with."""

    config: Config
    store: Store
    pool: GroupPool
    notify: Callable[[str], None]  # a job has new events; from any thread
    cluster_is_local: bool
    deposed: Event = field(default_factory=Event)  # another server schedules: leave all as it is
    backoff_s: Callable[[int], float] = backoff_s  # pause before the n-th retry of one cause
    metrics: Metrics = field(default_factory=Metrics)
