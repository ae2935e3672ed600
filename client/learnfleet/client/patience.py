"""How often, and for how long, a call is repeated that a server could not answer."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Iterator

import grpc

from learnfleet.client.errors import from_rpc, is_broken_write, is_tls_fault, reason_of, retry_delay_s_of

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.1, 2.0
_STARTING = "WORKERS_STARTING"  # the server lives, and works on it
_LIMITED = "RATE_LIMITED"  # nothing has been begun
_STARTING_S = 900.0  # a machine that takes longer to start Ray and to import torch is broken
_SAY_EVERY_S = 10.0
# gRPC ends calls as CANCELLED that come in the moment in which a server closes its door. Nothing here cancels a call
# whose error is then looked at.
_AWAY = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)

_log = logging.getLogger(__name__)


class Patience:
    """Of one call: a server that is away is tried again for `retry_s`, one whose workers start until they have."""

    def __init__(self, retry_s: float, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._retry_s, self._clock_s, self._pauses = retry_s, clock_s, pauses()
        self._began_s = self._said_s = self._heard_s = clock_s()

    def pause_after(self, error: grpc.RpcError) -> float:
        """Seconds to wait before the call is repeated. Raises this package's error if it is not to be."""
        if not may_pass(error):
            raise from_rpc(error) from None
        now_s, pause_s = self._clock_s(), next(self._pauses)
        if error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED:
            pause_s = max(pause_s, retry_delay_s_of(error))
        if reason_of(error) == _STARTING and now_s - self._began_s < _STARTING_S:
            self._heard_s = now_s
            self._say(now_s, error)
            return max(pause_s, retry_delay_s_of(error))
        if now_s + pause_s > self._heard_s + self._retry_s:
            raise from_rpc(error) from None
        return pause_s

    def _say(self, now_s: float, error: grpc.RpcError) -> None:
        """A person who waits is told why, now and then."""
        if now_s - self._said_s >= _SAY_EVERY_S or self._said_s == self._began_s:
            self._said_s = now_s
            _log.warning("%s (asked for %.0f s)", error.details(), now_s - self._began_s)


def may_pass(error: grpc.RpcError) -> bool:
    """Whether the same call may do later: the server is away, or has had too many calls of this tenant."""
    if error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED:
        return reason_of(error) == _LIMITED
    return is_broken_write(error) or (error.code() in _AWAY and not is_tls_fault(error))


def pauses() -> Iterator[float]:
    """Exponential, with jitter, without end (seconds)."""
    pause_s = _FIRST_PAUSE_S
    while True:
        yield pause_s * random.uniform(0.5, 1.0)
        pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)
