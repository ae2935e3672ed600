"""The metrics' own HTTP listener."""

from __future__ import annotations

import socket
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest
from prometheus_client import CollectorRegistry, Counter

from learnfleet.server.telemetry.listener import MetricsListener, read_address


@pytest.fixture
def listener() -> Iterator[MetricsListener]:
    registry = CollectorRegistry()
    Counter("apples", "Eaten.", registry=registry).inc(3)
    made = MetricsListener(registry, read_address("0"))
    made.start()
    yield made
    made.stop()


def test_metrics_are_told_as_prometheus_wants_them(listener: MetricsListener) -> None:
    with urllib.request.urlopen(f"http://{listener.address}/metrics", timeout=10) as answer:
        assert answer.headers["Content-Type"].startswith("text/plain; version=")
        assert "apples_total 3.0" in answer.read().decode()


def test_nothing_else_is_there(listener: MetricsListener) -> None:
    with pytest.raises(urllib.error.HTTPError) as error:
        urllib.request.urlopen(f"http://{listener.address}/", timeout=10)

    assert error.value.code == 404


def test_one_that_says_nothing_holds_up_nobody(listener: MetricsListener) -> None:
    host, port = listener.address.split(":")
    with (
        socket.create_connection((host, int(port))),
        urllib.request.urlopen(f"http://{listener.address}/metrics", timeout=10) as answer,
    ):
        assert answer.status == 200


@pytest.mark.parametrize(
    ("value", "address"),
    [("9464", ("127.0.0.1", 9464)), ("0.0.0.0:9464", ("0.0.0.0", 9464)), ("[::1]:0", ("::1", 0))],
)
def test_a_port_alone_is_on_loopback(value: str, address: tuple[str, int]) -> None:
    assert read_address(value) == address


def test_an_address_in_use_is_said(listener: MetricsListener) -> None:
    with pytest.raises(RuntimeError, match=r"metrics cannot be told on 127\.0\.0\.1:\d+: .*in use"):
        MetricsListener(CollectorRegistry(), read_address(listener.address))
