"""When the cluster's autoscaler is asked for nodes."""

from __future__ import annotations

from dataclasses import dataclass, field

from learnfleet.server.rpc.ports import Demand
from learnfleet.server.workers.host_process import HostLost, SafeHost
from learnfleet.server.workers.node_requests import NodeRequests


@dataclass
class Host(SafeHost):
    """Takes note of what it is asked for."""

    asked: list[tuple[int, int]] = field(default_factory=list)
    is_away: bool = False

    def ask_for(self, cpu_slots: int, gpu_slots: int, wait_s: float = 0.0) -> None:
        if self.is_away:
            raise HostLost
        self.asked.append((cpu_slots, gpu_slots))


def test_what_has_been_said_is_repeated_only_now_and_then() -> None:
    host, now_s = Host(), [0.0]
    requests = NodeRequests(lambda: host, lambda: now_s[0])
    for _ in range(130):
        requests.ask(Demand(4))
        now_s[0] += 1
    assert host.asked == [(4, 0)] * 3


def test_a_demand_that_changes_all_the_time_is_told_once_a_second() -> None:
    host, now_s = Host(), [0.0]
    requests = NodeRequests(lambda: host, lambda: now_s[0])
    for number in range(20):
        requests.ask(Demand(number, 1))
        now_s[0] += 0.25
    assert host.asked == [(0, 1), (4, 1), (8, 1), (12, 1), (16, 1)]


def test_what_could_not_be_said_is_said_later() -> None:
    host, hosts = Host(is_away=True), [None]
    requests = NodeRequests(lambda: hosts[0])  # type: ignore[arg-type, return-value]
    requests.ask(Demand(2))
    hosts[0] = host  # type: ignore[call-overload]
    requests.ask(Demand(2))
    host.is_away = False
    requests.ask(Demand(2))
    assert host.asked == [(2, 0)]


def test_a_server_that_stops_takes_back_what_it_has_asked_for_and_says_no_more() -> None:
    host = Host()
    requests = NodeRequests(lambda: host)
    requests.ask(Demand(2))
    requests.end()
    requests.ask(Demand(3))
    assert host.asked == [(2, 0), (0, 0)]
    quiet = Host()
    NodeRequests(lambda: quiet).end()  # a standby leaves the demand of the one that schedules alone
    assert quiet.asked == []
