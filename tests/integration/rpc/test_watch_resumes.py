"""The client's watch over a network and a server that fail."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from support.logged_jobs import put_job, write_log
from support.rpc_server import RunningServer, running_server
from support.tcp_proxy import proxy_to
from support.watchers import text_of

from learnfleet.client import Client
from learnfleet.client.events import Event, LogLine

TOTAL = 2000


def _written(server: RunningServer, job_id: str, total: int = TOTAL) -> threading.Thread:
    writing = threading.Thread(target=write_log, args=(server.store, [job_id], total, server.notify))
    writing.start()
    return writing


def _is_whole(name: str, events: list[Event], total: int = TOTAL) -> None:
    assert [event.sequence for event in events] == list(range(1, total + 1))
    logs = [event for event in events if isinstance(event.payload, LogLine)]
    assert all(event.payload.message == text_of(name, event.sequence) for event in logs)


@pytest.mark.parametrize("break_off_at", [lambda n: n % 300 == 0, lambda n: n in (1, 2, 3, 256, 257, TOTAL - 1)])
def test_a_watch_goes_on_without_loss_or_repeat_when_the_connection_is_reset(
    server: RunningServer, break_off_at: Callable[[int], bool]
) -> None:
    name = put_job(server.store, "one")
    writing = _written(server, "one")
    events: list[Event] = []
    with proxy_to(server.address) as proxy, Client.connect(proxy.address, retry_s=20) as client:
        for event in client.job(name).watch():
            events.append(event)
            if break_off_at(event.sequence):
                proxy.reset()
        assert proxy.connections > 1
    writing.join()
    _is_whole(name, events)


def test_a_watch_goes_on_without_loss_or_repeat_when_the_server_is_another(tmp_path: Path, root: Path) -> None:
    events: list[Event] = []
    half = threading.Event()

    def watch(address: str, name: str) -> None:
        with Client.connect(address, retry_s=20) as client:
            for event in client.job(name).watch():
                events.append(event)
                if event.sequence == TOTAL // 2:
                    half.set()

    with running_server(tmp_path, root) as first:
        name = put_job(first.store, "one")
        with proxy_to(first.address) as proxy:
            watching = threading.Thread(target=watch, args=(proxy.address, name))
            watching.start()
            write_log(first.store, ["one"], TOTAL, first.notify, until=TOTAL // 2)
            assert half.wait(20)
            with running_server(tmp_path, root) as second:
                proxy.server = second.address
                first.stop()
                write_log(second.store, ["one"], TOTAL, second.notify)
                watching.join(20)
                assert not watching.is_alive()
    _is_whole(name, events)
