"""Leases, within a transaction."""

from __future__ import annotations

from sqlalchemy import ColumnElement, Connection, insert, select, update

from learnfleet.server.errors import Deposed
from learnfleet.server.store.lease import Lease
from learnfleet.server.store.schema import leases


def find_lease(connection: Connection, name: str, *, for_change: bool = False) -> Lease | None:
    query = select(leases).where(leases.c.name == name)
    if for_change:
        query = query.with_for_update()  # waits for the writes that were let through under it
    row = connection.execute(query).mappings().first()
    return None if row is None else Lease(**row)


def take(connection: Connection, name: str, holder: str, seen: Lease | None) -> Lease | None:
    """`Store.take_lease`. Raises IntegrityError if two are the first."""
    present = find_lease(connection, name, for_change=True)
    if present is None:
        taken = Lease(name, holder, beat=1, term=1)
        connection.execute(insert(leases).values(_row(taken)))
        return taken
    if seen is None or (present.term, present.beat) != (seen.term, seen.beat):
        return None
    taken = Lease(name, holder, present.beat + 1, present.term + 1)
    connection.execute(update(leases).where(leases.c.name == name).values(_row(taken)))
    return taken


def renew(connection: Connection, lease: Lease) -> bool:
    """`Store.renew_lease`. Writes that go on under the lease do not hold it up, nor it them."""
    change = update(leases).where(_is_held(lease)).values(beat=leases.c.beat + 1)
    return connection.execute(change).rowcount == 1


def give_back(connection: Connection, lease: Lease) -> None:
    """`Store.give_back_lease`."""
    if find_lease(connection, lease.name, for_change=True) is not None:
        connection.execute(update(leases).where(_is_held(lease)).values(holder=None, beat=leases.c.beat + 1))


def require_held(connection: Connection, lease: Lease) -> None:
    """That nobody takes the lease before the transaction has ended. Raises Deposed if somebody has."""
    query = select(leases.c.name).where(_is_held(lease)).with_for_update(read=True, key_share=True)
    if connection.execute(query).first() is None:
        raise Deposed(f"another server has the lease '{lease.name}' since this one's term {lease.term}; it goes on")


def _is_held(lease: Lease) -> ColumnElement[bool]:
    return (leases.c.name == lease.name) & (leases.c.holder == lease.holder) & (leases.c.term == lease.term)


def _row(lease: Lease) -> dict[str, str | int | None]:
    return {
        "name": lease.name,
        "holder": lease.holder,
        "beat": lease.beat,
        "term": lease.term,
    }
