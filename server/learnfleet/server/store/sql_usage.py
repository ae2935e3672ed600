"""What tenants have used lately, within a transaction."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import Connection, select

from learnfleet.server.store.schema import usage
from learnfleet.server.store.sql_tables import upsert


def read_usage(connection: Connection, half_life_s: float, now: datetime) -> dict[str, float]:
    """As it is now: of what was used a half-life ago, half."""
    rows = connection.execute(select(usage.c.tenant, usage.c.slot_seconds, usage.c.updated_at))
    return {tenant: used * _kept(since, half_life_s, now) for tenant, used, since in rows}


def add_usage(connection: Connection, added: Mapping[str, float], half_life_s: float, now: datetime) -> None:
    before = read_usage(connection, half_life_s, now)
    for tenant, used in added.items():
        row = {"tenant": tenant, "slot_seconds": before.get(tenant, 0.0) + used, "updated_at": now.isoformat()}
        upsert(connection, usage, row, ("tenant",))


def _kept(since: str, half_life_s: float, now: datetime) -> float:
    """Clocks may have been set back: nothing grows with time."""
    elapsed_s = max(0.0, (now - datetime.fromisoformat(since)).total_seconds())
    return float(0.5 ** (elapsed_s / half_life_s))
