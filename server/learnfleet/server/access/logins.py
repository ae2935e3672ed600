"""Callers that were not let in: counted by where they come from, and logged without what they sent."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from learnfleet.server.access.limits import Buckets, Rate
from learnfleet.server.errors import RateLimited, Unauthenticated

_FAILED_PER_S = 1.0  # of an address; those who are let in do not count
_LOGGED = Rate(per_s=0.1, burst=5)  # lines of an address: whoever floods us shall not flood the log

_log = logging.getLogger(__name__)


class FailedLogins:
    """Keeps who guesses from guessing fast."""

    def __init__(self, at_once: int, clock: Callable[[], float] = time.monotonic) -> None:
        """`at_once`: so many of an address are told what is wrong before they are told to wait."""
        self._rate = Rate(_FAILED_PER_S, at_once)
        self._failed, self._logged = Buckets(clock), Buckets(clock)

    def failed(self, peer: str, method: str, error: Unauthenticated) -> Unauthenticated | RateLimited:
        """What to tell a caller at `peer` (as gRPC writes it) whose login failed."""
        host = host_of(peer)
        if not self._logged.take(host, _LOGGED):
            # The reason is ours, never the caller's words: no token gets into a log.
            _log.warning("login refused: %s from %s, %s", error.reason, host, method)
        wait_s = self._failed.take(host, self._rate)
        return RateLimited(f"too many failed logins from {host}; wait", wait_s) if wait_s else error


def host_of(peer: str) -> str:
    """`10.0.0.7` of `ipv4:10.0.0.7:53412`: each connection has another port."""
    scheme, _, rest = peer.partition(":")
    return rest.rpartition(":")[0] or rest if scheme in ("ipv4", "ipv6") else scheme
