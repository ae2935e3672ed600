"""When the database is away: told from a fault of ours, which would be an INTERNAL error."""

from __future__ import annotations

import contextlib
import logging
import math
import time
from collections.abc import Iterator

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from learnfleet.server.errors import StoreUnavailable

_LOG_EVERY_S = 10.0

_log = logging.getLogger(__name__)

_OURS = frozenset({"SQLITE_ERROR"})  # such as a table that does not exist


class _Outages:
    """Logs what the driver says, now and then: while a database is away all calls end so."""

    def __init__(self) -> None:
        self._logged_at_s = -math.inf

    def log(self, error: DBAPIError) -> None:
        now_s = time.monotonic()
        if now_s - self._logged_at_s >= _LOG_EVERY_S:
            self._logged_at_s = now_s
            _log.warning("the database is away: %s", " ".join(str(error.orig).split()))


_outages = _Outages()


@contextlib.contextmanager
def told_as_unavailable() -> Iterator[None]:
    """Raises StoreUnavailable for what may be well again when it is tried later."""
    try:
        yield
    except PoolTimeout as error:
        raise StoreUnavailable("the database has no connection free; try again") from error
    except DBAPIError as error:
        if not _may_pass(error):
            raise
        # Nothing of the driver's words: they name hosts and users.
        _outages.log(error)
        raise StoreUnavailable("the database cannot be reached, or takes no writes now; try again") from error


def _may_pass(error: DBAPIError) -> bool:
    if error.connection_invalidated or isinstance(error, InterfaceError):
        return True
    # The drivers' OperationalError: connections lost, shutdown, deadlocks, timeouts, full disks, too many clients.
    return isinstance(error, OperationalError) and getattr(error.orig, "sqlite_errorname", "") not in _OURS
