"""What the cluster's autoscaler has been asked for, and when it is asked again."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from threading import Lock

from learnfleet.server.errors import Unavailable
from learnfleet.server.rpc.ports import Demand
from learnfleet.server.workers.host_process import SafeHost

_REPEAT_S = 60.0  # a cluster whose head was lost has forgotten it
_CHANGE_S = 1.0  # a long queue changes with each job that joins it
_END_S = 2.0

_log = logging.getLogger(__name__)


class NodeRequests:
    """Those of one server, of which only the one that schedules makes any.

    Args:
        host: the process that talks to Ray, while there is one.
    """

    def __init__(self, host: Callable[[], SafeHost | None], clock_s: Callable[[], float] = time.monotonic) -> None:
        self._host, self._clock_s = host, clock_s
        self._demand, self._asked_s, self._has_ended = Demand(), -math.inf, False
        self._lock = Lock()

    def ask(self, demand: Demand) -> None:
        """Says nothing where it has just been said."""
        with self._lock:
            now_s = self._clock_s()
            pause_s = _REPEAT_S if demand == self._demand else _CHANGE_S
            if not self._has_ended and now_s >= self._asked_s + pause_s and self._tell(demand):
                self._demand, self._asked_s = demand, now_s

    def end(self) -> None:
        """Ask for nothing any more. A server that schedules next asks anew."""
        with self._lock:
            self._has_ended = True
            if self._demand != Demand():
                self._tell(Demand(), _END_S)

    def _tell(self, demand: Demand, wait_s: float = 0.0) -> bool:
        host = self._host()
        if host is None:
            return False
        try:
            host.ask_for(demand.cpu_slots, demand.gpu_slots, wait_s)
        except Unavailable as error:  # jobs can do without
            _log.warning("the cluster was not asked for nodes: %s", error)
            return False
        return True
