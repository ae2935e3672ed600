"""How often a tenant may call, by kinds of calls."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from learnfleet.server.errors import RateLimited

_MOST_KEYS = 10_000


class Kind(StrEnum):
    """What a call costs, roughly: those of one kind share a limit."""

    READ = "read"  # looks something up
    WRITE = "write"  # changes something: jobs, learners, data sets, aliases
    PREDICT = "predict"  # is answered by a model


@dataclass(frozen=True)
class Rate:
    """Calls a second in the long run, and how many may come at once."""

    per_s: float
    burst: int


class Buckets:
    """A token bucket for each key, of which it is enough to know when it will be full again. From one thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._full_at: OrderedDict[str, float] = OrderedDict()

    def take(self, key: str, rate: Rate) -> float:
        """Take one token. Returns 0, or how many seconds to wait until there is one."""
        now = self._clock()
        full_at = max(now, self._full_at.get(key, now))
        wait_s = full_at - now - (rate.burst - 1) / rate.per_s
        if wait_s > 1e-9:
            return wait_s
        self._full_at[key] = full_at + 1 / rate.per_s
        self._full_at.move_to_end(key)
        if len(self._full_at) > _MOST_KEYS:
            self._full_at.popitem(last=False)  # the one that was used longest ago, which is full by now or nearly so
        return 0.0


RateLimit = tuple[str, str, float, int]  # tenant or "*", kind or "*", calls a second, burst


class RateLimits:
    """Looks after what the settings say. The first of them that names tenant and kind counts; no other is looked at."""

    def __init__(self, limits: Sequence[RateLimit], clock: Callable[[], float] = time.monotonic) -> None:
        # Those that name a tenant before those for all, and then those that name a kind.
        self._limits = sorted(limits, key=lambda limit: (limit[0] == "*", limit[1] == "*"))
        self._buckets = Buckets(clock)

    def take(self, tenant: str, kind: Kind) -> None:
        """Count one call. Raises RateLimited, with when to come again."""
        rate = self._rate(tenant, kind)
        if rate is None:
            return
        wait_s = self._buckets.take(f"{tenant} {kind}", rate)
        if wait_s:
            per_s = f"{rate.per_s:g} a second ({rate.burst} at once)"
            raise RateLimited(f"tenant {tenant} may make {per_s} of calls that {_WORDS[kind]}; wait a little", wait_s)

    def _rate(self, tenant: str, kind: Kind) -> Rate | None:
        if not self._limits:
            return None
        found = next((each for each in self._limits if each[0] in (tenant, "*") and each[1] in (kind, "*")), None)
        return Rate(found[2], found[3]) if found is not None else None


_WORDS: Mapping[Kind, str] = {Kind.READ: "read", Kind.WRITE: "change something", Kind.PREDICT: "predict"}
