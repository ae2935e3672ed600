"""Whether any server runs on a store, for whoever must have it for himself."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import inspect

from learnfleet.server.alone import InUse, alone_at
from learnfleet.server.config import Config
from learnfleet.server.store.database import unmigrated_database
from learnfleet.server.store.lease import SCHEDULER, Lease
from learnfleet.server.store.outage import told_as_unavailable
from learnfleet.server.store.sql_leases import find_lease

_LEASES = 2.0  # a server that lives has moved its beat in so many


@contextmanager
def nobody_at(config: Config) -> Iterator[None]:
    """Raises InUse where a server runs on the store, StoreUnavailable."""
    if config.is_alone:
        config.data_dir.mkdir(parents=True, exist_ok=True)
        with alone_at(config):
            yield
        return
    _require_no_leader(config)
    yield


def _require_no_leader(config: Config) -> None:
    """By its beat: no clocks are compared."""
    before = leader_of(config.store_url)
    if before is None:
        return
    until_s = time.monotonic() + _LEASES * config.lease_s
    while time.monotonic() < until_s:
        if leader_of(config.store_url) != before:
            raise InUse(f"server {before.holder} works on this store: stop all servers of it first")
        time.sleep(config.lease_s / 4)


def leader_of(url: str) -> Lease | None:
    """The lease of the server that schedules, or did when it died. Raises StoreUnavailable."""
    engine = unmigrated_database(url)
    try:
        with told_as_unavailable(), engine.connect().execution_options(read_only=True) as connection:
            lease = find_lease(connection, SCHEDULER) if inspect(connection).has_table("leases") else None
            return None if lease is None or lease.holder is None else lease
    finally:
        engine.dispose()
