"""How the server stands at the moment of a scrape: who leads, what is connected, what waits."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

_LOOP_TIMEOUT_S = 3.0  # less than scrapes have; a loop that takes longer is what the scrape then tells of

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class LoopFigures:
    """What belongs to the event loop, and is read in it."""

    watchers: int = 0
    watched_jobs: int = 0
    replicas: int = 0
    replicas_starting: int = 0
    replicas_busy: int = 0
    waiting_items: int = 0
    models_held: int = 0
    model_bytes: int = 0


@dataclass(frozen=True)
class Behind:
    """How far a consumer of the event log is behind. `seconds`: of the job that waits for longest."""

    jobs: int = 0
    seconds: float = 0.0
    is_away: bool = False  # whoever it sends to cannot be reached


@dataclass(frozen=True)
class Figures:
    """What any thread may read, and what may block for a while."""

    version: str = ""
    is_leading: bool = False
    has_ray: bool = False
    has_store: bool = False
    consumers: Mapping[str, Behind] = field(default_factory=dict)
    data_dir: Path | None = None
    certificate_ends_at: datetime | None = None  # None: no TLS


class ServerMetrics(Collector):
    """Asked in the listener's thread. `on_loop` is called in the event loop, `off_loop` is not."""

    def __init__(
        self,
        registry: CollectorRegistry,
        loop: asyncio.AbstractEventLoop,
        on_loop: Callable[[], LoopFigures],
        off_loop: Callable[[], Figures],
    ) -> None:
        self._loop, self._on_loop, self._off_loop = loop, on_loop, off_loop
        registry.register(self)

    def describe(self) -> Iterator[Metric]:
        """All that `collect` may give; so that registering asks for nothing."""
        yield from _of_loop(LoopFigures(), 0.0)
        yield from _of_server(Figures())
        yield from _of_disk(None)

    def collect(self) -> Iterator[Metric]:
        found, lag_s = self._ask_loop()
        yield from _of_loop(found, lag_s)
        figures = self._off_loop()
        yield from _of_server(figures)
        yield from _of_disk(figures.data_dir)

    def _ask_loop(self) -> tuple[LoopFigures | None, float]:
        """What it says, and how long it took to get to it."""
        told: Future[tuple[LoopFigures, float]] = Future()
        asked_s = time.monotonic()

        def tell() -> None:
            try:
                told.set_result((self._on_loop(), time.monotonic() - asked_s))
            except Exception as error:
                told.set_exception(error)

        try:
            self._loop.call_soon_threadsafe(tell)
            return told.result(_LOOP_TIMEOUT_S)
        except Exception:
            _log.warning("the event loop did not tell how it stands within %g s", _LOOP_TIMEOUT_S, exc_info=True)
            return None, time.monotonic() - asked_s


def _of_loop(found: LoopFigures | None, lag_s: float) -> Iterator[Metric]:
    yield _gauge("learnfleet_event_loop_lag_seconds", "How long the event loop took to get to a new task.", lag_s)
    if found is None:
        return
    yield _gauge("learnfleet_watchers", "Open WatchJob and GetJobLogs calls.", found.watchers)
    yield _gauge("learnfleet_watched_jobs", "Jobs that somebody watches.", found.watched_jobs)
    replicas = GaugeMetricFamily("learnfleet_replicas", "Processes that predict.", labels=("state",))
    replicas.add_metric(("starting",), found.replicas_starting)
    replicas.add_metric(("busy",), found.replicas_busy)
    replicas.add_metric(("idle",), found.replicas - found.replicas_busy)
    yield replicas
    yield _gauge(
        "learnfleet_predict_waiting_items", "Items that wait for a process to predict them.", found.waiting_items
    )
    yield _gauge("learnfleet_models_held", "Models in the memory of processes that predict.", found.models_held)
    yield _gauge("learnfleet_model_cache_bytes", "Memory that models occupy, over all processes.", found.model_bytes)


def _of_server(figures: Figures) -> Iterator[Metric]:
    build = GaugeMetricFamily("learnfleet_build_info", "The server's version; always 1.", labels=("version",))
    build.add_metric((figures.version,), 1)
    yield build
    yield _gauge("learnfleet_leader", "Whether this server schedules.", figures.is_leading)
    yield _gauge("learnfleet_ray_up", "Whether this server is connected to Ray.", figures.has_ray)
    yield _gauge("learnfleet_store_up", "Whether the database answers this server.", figures.has_store)
    told = "Jobs of which {} does not have all that happened."
    jobs = GaugeMetricFamily("learnfleet_outbox_jobs", told.format("a consumer of events"), labels=("consumer",))
    lag = GaugeMetricFamily(
        "learnfleet_outbox_lag_seconds", "How long the first of them has waited.", labels=("consumer",)
    )
    up = GaugeMetricFamily("learnfleet_outbox_up", "Whether the consumer reaches MLflow.", labels=("consumer",))
    for name, behind in sorted(figures.consumers.items()):
        jobs.add_metric((name,), behind.jobs)
        lag.add_metric((name,), behind.seconds)
        up.add_metric((name,), not behind.is_away)
    expiry = GaugeMetricFamily(
        "learnfleet_certificate_expiry_timestamp_seconds", "When the certificate that clients are shown expires."
    )
    if figures.certificate_ends_at is not None:
        expiry.add_metric((), figures.certificate_ends_at.timestamp())
    yield from (jobs, lag, up, expiry)


def _of_disk(folder: Path | None) -> Iterator[Metric]:
    free = GaugeMetricFamily("learnfleet_data_free_bytes", "Room left where the data directory is.")
    size = GaugeMetricFamily("learnfleet_data_size_bytes", "Size of the file system that the data directory is on.")
    if folder is not None:
        try:
            found = os.statvfs(folder)
        except OSError as error:
            _log.warning("%s cannot be looked at: %s", folder, error)
        else:
            free.add_metric((), found.f_bavail * found.f_frsize)
            size.add_metric((), found.f_blocks * found.f_frsize)
    yield from (free, size)


def _gauge(name: str, told: str, value: float) -> Metric:
    return GaugeMetricFamily(name, told, value=float(value))
