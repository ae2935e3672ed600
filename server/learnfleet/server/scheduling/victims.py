"""Which running jobs have to make room for another: as few as will do, and those that lose least."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from learnfleet.server.domain import JobBrief


@dataclass(frozen=True)
class Victim:
    """A running job that may be stopped and queued again."""

    job: JobBrief
    slots: int
    standing: float
    ran_for_s: float
    is_stopping: bool = False

    @property
    def cost(self) -> tuple[float, float]:
        """What matters more and what has run for longer is dearer."""
        return self.standing, self.ran_for_s


def cheapest(candidates: Sequence[Victim], slots: int) -> tuple[Victim, ...]:
    """The fewest that free so many slots, of least priority, started last. Nothing where all together do not do it.

    None of them could be left out: one fewer, even of the largest, would not be enough.
    """
    by_size = sorted(candidates, key=lambda victim: (-victim.slots, victim.cost))
    chosen, freed = [], 0
    for victim in by_size:
        if freed >= slots:
            break
        chosen.append(victim)
        freed += victim.slots
    if freed < slots:
        return ()
    return tuple(_exchanged(chosen, by_size[len(chosen) :], freed - slots))


def _exchanged(chosen: list[Victim], others: Sequence[Victim], spare: int) -> list[Victim]:
    """As many, but cheaper ones wherever a smaller one does as well. The dearest is exchanged first."""
    pool = sorted(others, key=lambda victim: victim.cost)
    kept: list[Victim] = []
    for victim in sorted(chosen, key=lambda victim: victim.cost, reverse=True):
        for place, other in enumerate(pool):
            if other.cost >= victim.cost:
                break
            if victim.slots - other.slots <= spare:
                spare -= victim.slots - other.slots
                pool.pop(place)
                victim = other
                break
        kept.append(victim)
    return kept
