"""Token buckets: rates in the long run, bursts at once, and whose they are."""

from __future__ import annotations

import pytest

from learnfleet.server.access.limits import Buckets, Kind, Rate, RateLimit, RateLimits
from learnfleet.server.access.logins import host_of
from learnfleet.server.errors import RateLimited


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_burst_is_let_through_and_then_the_rate() -> None:
    clock = Clock()
    buckets, rate = Buckets(clock), Rate(per_s=2.0, burst=5)
    assert [buckets.take("a", rate) for _ in range(5)] == [0.0] * 5
    assert buckets.take("a", rate) == pytest.approx(0.5)
    clock.now = 0.4
    assert buckets.take("a", rate) == pytest.approx(0.1), "what was refused costs nothing"
    clock.now = 0.5
    assert buckets.take("a", rate) == 0.0
    taken = 0
    for clock.now in (0.5 + step / 100 for step in range(1001)):
        taken += buckets.take("a", rate) == 0.0
    assert taken == 20, "2 a second for 10 s"
    clock.now = 1000.0
    assert [buckets.take("a", rate) for _ in range(6)].count(0.0) == 5, "no more is saved up than the burst"
    assert buckets.take("b", rate) == 0.0


def let_through(limits: tuple[RateLimit, ...], tenant: str, kind: Kind) -> int:
    """Of a hundred calls at once."""
    found, count = RateLimits(limits, Clock()), 0
    for _ in range(100):
        try:
            found.take(tenant, kind)
        except RateLimited:
            return count
        count += 1
    return count


def test_the_limit_that_names_most_counts_in_whichever_order_they_are_given() -> None:
    limits = (("*", "*", 1.0, 1), ("*", "predict", 1.0, 2), ("red", "*", 1.0, 3), ("red", "predict", 1.0, 4))
    for given in (limits, limits[::-1]):
        assert let_through(given, "blue", Kind.READ) == 1
        assert let_through(given, "blue", Kind.PREDICT) == 2
        assert let_through(given, "red", Kind.WRITE) == 3
        assert let_through(given, "red", Kind.PREDICT) == 4
    assert let_through((("red", "read", 1.0, 1),), "red", Kind.WRITE) == 100
    assert let_through((), "red", Kind.READ) == 100


def test_each_tenant_and_kind_has_a_bucket_of_its_own() -> None:
    limits = RateLimits((("*", "*", 1.0, 1),), Clock())
    for tenant in ("red", "blue"):
        for kind in Kind:
            limits.take(tenant, kind)
            with pytest.raises(RateLimited, match=f"tenant {tenant} may make 1 a second"):
                limits.take(tenant, kind)


def test_what_is_remembered_of_many_is_bounded() -> None:
    buckets = Buckets(Clock())
    for number in range(30_000):
        buckets.take(str(number), Rate(1.0, 1))
    assert len(buckets._full_at) <= 10_000
    assert buckets.take("29999", Rate(1.0, 1)) > 0


def test_an_address_is_one_whichever_port_it_calls_from() -> None:
    assert host_of("ipv4:10.0.0.7:53412") == "10.0.0.7"
    assert host_of("ipv6:[::1]:53412") == "[::1]"
    assert host_of("unix:") == "unix"
