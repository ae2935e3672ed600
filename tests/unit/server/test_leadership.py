"""Who of several servers schedules. Steps are taken by the test, and each server has a clock of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from learnfleet.server.errors import Deposed, StoreUnavailable
from learnfleet.server.leadership import Leadership
from learnfleet.server.store.lease import SCHEDULER, Lease
from learnfleet.server.store.sql import SqlStore

LEASE_S = 3.0


class UnreachableStore(SqlStore):
    """Takes no lease while `is_away`."""

    is_away = False

    def renew_lease(self, lease: Lease) -> bool:
        if self.is_away:
            raise StoreUnavailable("away")
        return super().renew_lease(lease)

    def get_lease(self, name: str) -> Lease | None:
        if self.is_away:
            raise StoreUnavailable("away")
        return super().get_lease(name)


@dataclass
class Server:
    """A candidate that remembers what it was told."""

    store: UnreachableStore
    name: str
    now_s: float = 100.0
    told: list[str] = field(default_factory=list)
    lease: Lease | None = None

    def __post_init__(self) -> None:
        self.leadership = Leadership(self.store, self, self.name, LEASE_S, lambda: self.now_s)

    def lead(self, lease: Lease) -> None:
        self.lease = lease
        self.told.append(f"lead {lease.term}")

    def step_down(self) -> None:
        self.told.append("step down")

    def overtaken(self) -> None:
        self.told.append("overtaken")

    def finish(self) -> None:
        self.told.append("finish")

    def step(self, later_s: float = 0.0) -> None:
        self.now_s += later_s
        self.leadership.step()


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[Callable[[str], Server]]:
    made: list[Server] = []

    def new(name: str) -> Server:
        made.append(Server(UnreachableStore(f"sqlite:///{tmp_path / 'store.db'}"), name))
        return made[-1]

    yield new
    for server in made:
        server.store.close()


def test_the_first_leads_and_the_second_waits_while_the_beat_moves(servers: Callable[[str], Server]) -> None:
    one, two = servers("one"), servers("two")
    two.now_s = 9e9  # clocks of different machines have nothing to do with each other
    one.step()
    for _ in range(10):
        two.step(later_s=LEASE_S - 0.1)
        one.step(later_s=1.0)
    assert (one.told, two.told) == (["lead 1"], [])
    assert one.leadership.is_leading


def test_the_second_leads_when_the_beat_has_stood_still_for_the_lease(servers: Callable[[str], Server]) -> None:
    one, two = servers("one"), servers("two")
    one.step()
    two.step()
    two.step(later_s=LEASE_S - 0.1)
    assert two.told == []
    two.step(later_s=0.2)
    assert two.told == ["lead 2"]


def test_a_holder_that_was_stopped_meanwhile_learns_that_it_was_overtaken(servers: Callable[[str], Server]) -> None:
    one, two = servers("one"), servers("two")
    one.step()
    two.step()
    two.step(later_s=LEASE_S)
    one.step()
    one.step()
    one.step()
    assert one.told == ["lead 1", "step down", "overtaken"]
    assert not one.leadership.is_leading


def test_a_holder_that_cannot_reach_the_store_steps_down_in_time_and_leads_again(
    servers: Callable[[str], Server],
) -> None:
    one = servers("one")
    one.step()
    one.store.is_away = True
    one.step(later_s=LEASE_S - 0.1)
    assert one.told == ["lead 1"]
    one.step(later_s=0.2)
    assert one.told == ["lead 1", "step down"]
    one.store.is_away = False
    one.step()
    assert one.told == ["lead 1", "step down", "lead 2"]


def test_a_lease_that_was_given_back_is_taken_at_once(servers: Callable[[str], Server]) -> None:
    one, two = servers("one"), servers("two")
    one.step()
    two.step()
    one.leadership.stop()
    two.step()
    assert (one.told, two.told) == (["lead 1", "finish"], ["lead 2"])
    one.step(later_s=LEASE_S)
    assert one.told == ["lead 1", "finish"]  # it wants no lease any more


def test_of_two_that_find_it_free_one_takes_it(servers: Callable[[str], Server]) -> None:
    one, two = servers("one"), servers("two")
    one.step()
    one.leadership.stop()
    free = two.store.get_lease(SCHEDULER)
    assert one.store.take_lease(SCHEDULER, "one", free) is not None
    assert two.store.take_lease(SCHEDULER, "two", free) is None


def test_a_server_that_starts_again_under_its_name_need_not_wait_for_itself(servers: Callable[[str], Server]) -> None:
    servers("one").step()
    again = servers("one")
    again.step()
    assert again.told == ["lead 2"]


def test_writes_of_an_earlier_term_are_refused(servers: Callable[[str], Server]) -> None:
    one, two = servers("one"), servers("two")
    one.step()
    assert one.lease is not None
    fenced = one.store.fenced(one.lease)
    fenced.set_reasons({"nobody": "waits"})
    two.step()
    two.step(later_s=LEASE_S)
    with pytest.raises(Deposed):
        fenced.set_reasons({"nobody": "waits"})
    one.store.set_reasons({"nobody": "waits"})
