"""How a server stands, asked from another thread than the one it stands in."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from learnfleet.server.telemetry import server_metrics
from learnfleet.server.telemetry.server_metrics import Behind, Figures, LoopFigures, ServerMetrics


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    """One that runs in a thread."""
    made = asyncio.new_event_loop()
    thread = threading.Thread(target=made.run_forever)
    thread.start()
    yield made
    made.call_soon_threadsafe(made.stop)
    thread.join()
    made.close()


def registry_of(loop: asyncio.AbstractEventLoop, on_loop: LoopFigures, figures: Figures) -> CollectorRegistry:
    registry = CollectorRegistry()
    ServerMetrics(registry, loop, lambda: on_loop, lambda: figures)
    return registry


def test_what_belongs_to_the_loop_is_read_in_it(loop: asyncio.AbstractEventLoop) -> None:
    asked_in: list[int] = []

    def on_loop() -> LoopFigures:
        asked_in.append(threading.get_ident())
        return LoopFigures(watchers=3, replicas=2, replicas_busy=1, replicas_starting=1, waiting_items=7)

    registry = CollectorRegistry()
    ServerMetrics(registry, loop, on_loop, Figures)

    assert registry.get_sample_value("learnfleet_watchers") == 3
    assert registry.get_sample_value("learnfleet_predict_waiting_items") == 7
    for state, number in (("busy", 1), ("idle", 1), ("starting", 1)):
        assert registry.get_sample_value("learnfleet_replicas", {"state": state}) == number
    assert threading.get_ident() not in asked_in


def test_when_the_certificate_ends_is_told_where_there_is_one(loop: asyncio.AbstractEventLoop) -> None:
    name, ends_at = "learnfleet_certificate_expiry_timestamp_seconds", datetime(2030, 1, 2, tzinfo=UTC)
    told = registry_of(loop, LoopFigures(), Figures(certificate_ends_at=ends_at))
    assert told.get_sample_value(name) == ends_at.timestamp()
    assert registry_of(loop, LoopFigures(), Figures()).get_sample_value(name) is None


def test_a_loop_that_hangs_is_told_of_and_does_not_hang_the_scrape(
    loop: asyncio.AbstractEventLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_metrics, "_LOOP_TIMEOUT_S", 0.05)
    let_go, hangs = threading.Event(), threading.Event()
    loop.call_soon_threadsafe(lambda: (hangs.set(), let_go.wait(20)))
    hangs.wait(20)
    try:
        found = {family.name: family for family in registry_of(loop, LoopFigures(), Figures(is_leading=True)).collect()}
    finally:
        let_go.set()

    assert found["learnfleet_event_loop_lag_seconds"].samples[0].value >= 0.05
    assert found["learnfleet_leader"].samples[0].value == 1
    assert "learnfleet_watchers" not in found


def test_each_consumer_of_events_is_told_of(loop: asyncio.AbstractEventLoop) -> None:
    consumers = {"mlflow": Behind(2, 30.0, is_away=True), "checkpoints": Behind()}
    registry = registry_of(loop, LoopFigures(), Figures(consumers=consumers))

    labels = {"consumer": "mlflow"}
    assert registry.get_sample_value("learnfleet_outbox_jobs", labels) == 2
    assert registry.get_sample_value("learnfleet_outbox_lag_seconds", labels) == 30
    assert registry.get_sample_value("learnfleet_outbox_up", labels) == 0
    assert registry.get_sample_value("learnfleet_outbox_up", {"consumer": "checkpoints"}) == 1


def test_room_is_told_where_there_is_a_folder(loop: asyncio.AbstractEventLoop, tmp_path: Path) -> None:
    there = registry_of(loop, LoopFigures(), Figures(data_dir=tmp_path))
    gone = registry_of(loop, LoopFigures(), Figures(data_dir=tmp_path / "gone"))

    size = there.get_sample_value("learnfleet_data_size_bytes")
    free = there.get_sample_value("learnfleet_data_free_bytes")
    assert size is not None
    assert free is not None
    assert 0 <= free <= size
    assert gone.get_sample_value("learnfleet_data_free_bytes") is None
