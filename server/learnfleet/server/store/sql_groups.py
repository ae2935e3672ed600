"""Worker groups, and how much of the cluster tenants have used."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import delete, select, update

from learnfleet.server.domain import Group
from learnfleet.server.store import schema
from learnfleet.server.store.rows import group_of, group_row
from learnfleet.server.store.sql_base import SqlBase
from learnfleet.server.store.sql_learners import find_learner
from learnfleet.server.store.sql_tables import upsert
from learnfleet.server.store.sql_usage import add_usage, read_usage


class SqlGroups(SqlBase):
    """The part of the SQL store that knows who holds slots, and who has held them."""

    def next_generation(self, learner_id: str) -> int:
        table = schema.learners
        with self._writing("next_generation") as connection:
            find_learner(connection, learner_id)
            here = table.c.id == learner_id
            connection.execute(update(table).where(here).values(generation=table.c.generation + 1))
            return int(connection.execute(select(table.c.generation).where(here)).scalar_one())

    def put_group(self, group: Group) -> None:
        with self._writing("put_group") as connection:
            upsert(connection, schema.groups, group_row(group), ("learner_id",))

    def delete_group(self, learner_id: str) -> None:
        with self._writing("delete_group") as connection:
            connection.execute(delete(schema.groups).where(schema.groups.c.learner_id == learner_id))

    def list_groups(self) -> list[Group]:
        with self._reading() as connection:
            return [group_of(row) for row in connection.execute(select(schema.groups)).mappings()]

    # -- use

    def usage(self, half_life_s: float) -> dict[str, float]:
        with self._reading() as connection:
            return read_usage(connection, half_life_s, self._clock())

    def add_usage(self, added: Mapping[str, float], half_life_s: float) -> None:
        with self._writing("add_usage") as connection:
            add_usage(connection, added, half_life_s, self._clock())
