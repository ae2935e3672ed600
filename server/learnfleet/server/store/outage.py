"""When the database is away: told from a fault of ours, which would be an INTERNAL error."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from learnfleet.server.errors import StoreUnavailable

_OURS = frozenset({"SQLITE_ERROR"})  # such as a table that does not exist


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
        # Nothing of the driver's words: they name hosts and users. The log has them.
        raise StoreUnavailable("the database cannot be reached, or takes no writes now; try again") from error


def _may_pass(error: DBAPIError) -> bool:
    if error.connection_invalidated or isinstance(error, InterfaceError):
        return True
    # The drivers' OperationalError: connections lost, shutdown, deadlocks, timeouts, full disks, too many clients.
    return isinstance(error, OperationalError) and getattr(error.orig, "sqlite_errorname", "") not in _OURS
