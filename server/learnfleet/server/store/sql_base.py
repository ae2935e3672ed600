"""What the parts of the SQL store stand on: transactions, leases, and what servers tell each other."""

from __future__ import annotations

import contextlib
import copy
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import Self

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from learnfleet.server.failpoints import fp
from learnfleet.server.store.base import Store
from learnfleet.server.store.database import open_database
from learnfleet.server.store.lease import Lease
from learnfleet.server.store.notices import Notice, Topic, announce
from learnfleet.server.store.outage import told_as_unavailable
from learnfleet.server.store.sql_leases import find_lease, give_back, renew, require_held, take

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    return datetime.now(UTC)


class SqlBase(Store):
    """A store in SQLite or PostgreSQL, by URL. Several servers may share the latter."""

    def __init__(self, url: str, clock: Clock = utc_now, server_id: str = "") -> None:
        """`server_id`: the sender of what other servers are told. Raises StoreUnavailable."""
        self._engine = open_database(url)
        self._clock, self._server_id = clock, server_id
        self._lease: Lease | None = None  # under which all is written
        # SQLite has one writer at a time, and lets others try again now and then: some of them waited for seconds while
        # those that came later had their turn. Threads of this process queue up here instead.
        self._turn: AbstractContextManager[object] = contextlib.nullcontext() if self.is_shared else threading.Lock()

    def close(self) -> None:
        self._engine.dispose()

    @property
    def is_shared(self) -> bool:
        return self._engine.dialect.name == "postgresql"

    # -- leases

    def get_lease(self, name: str) -> Lease | None:
        with self._reading() as connection:
            return find_lease(connection, name)

    def take_lease(self, name: str, holder: str, seen: Lease | None) -> Lease | None:
        try:
            with self._writing("take_lease") as connection:
                return take(connection, name, holder, seen)
        except IntegrityError:  # two were the first
            return None

    def renew_lease(self, lease: Lease) -> bool:
        with self._writing("renew_lease") as connection:
            return renew(connection, lease)

    def give_back_lease(self, lease: Lease) -> None:
        with self._writing("give_back_lease") as connection:
            give_back(connection, lease)

    def fenced(self, lease: Lease) -> Self:
        under_lease = copy.copy(self)
        under_lease._lease = lease
        return under_lease

    # -- notices

    def tell(self, topic: Topic, subject: str) -> None:
        if self.is_shared:
            with self._writing("tell") as connection:
                self._announce(connection, topic, subject)

    def _announce(self, connection: Connection, topic: Topic, subject: str) -> None:
        """When the transaction ends well."""
        announce(connection, Notice(topic, subject, self._server_id))

    # -- transactions

    @contextlib.contextmanager
    def _writing(self, what: str) -> Iterator[Connection]:
        """`what` is written: the name of its failpoints (failpoints.py)."""
        with told_as_unavailable(), self._turn, self._engine.begin() as connection:
            if self._lease is not None:
                require_held(connection, self._lease)
            yield connection
            fp(f"store.{what}.before")
        fp(f"store.{what}.after")

    @contextlib.contextmanager
    def _reading(self) -> Iterator[Connection]:
        with told_as_unavailable(), self._engine.connect().execution_options(read_only=True) as connection:
            yield connection
