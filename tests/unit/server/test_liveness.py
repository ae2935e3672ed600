"""When a run is taken for one that hangs."""

from __future__ import annotations

from dataclasses import dataclass

from learnfleet.server.scheduling.liveness import Liveness
from learnfleet.server.workers.protocol import Phase, WorkerStatus

LIMIT_S = 60.0


@dataclass
class Clock:
    now_s: float = 1000.0

    def __call__(self) -> float:
        return self.now_s


def a_rank(beats: int, *, is_long: bool = False, phase: Phase = Phase.RUNNING) -> WorkerStatus:
    return WorkerStatus(phase, 1, 0, (), beats=beats, is_long=is_long)


def hangs_after(waits_s: float, *ranks: WorkerStatus) -> bool:
    """Whether ranks hang that say the same again after so long."""
    clock = Clock()
    liveness = Liveness(LIMIT_S, clock)
    liveness.note(ranks)
    clock.now_s += waits_s
    liveness.note(ranks)
    return liveness.hangs_for_s is not None


def test_a_run_hangs_when_its_beats_stand_still_for_longer_than_the_limit() -> None:
    assert not hangs_after(LIMIT_S, a_rank(5), a_rank(5))
    assert hangs_after(LIMIT_S + 1, a_rank(5), a_rank(5))


def test_long_work_is_given_ten_times_as_long() -> None:
    assert not hangs_after(10 * LIMIT_S, a_rank(0, is_long=True))
    assert hangs_after(10 * LIMIT_S + 1, a_rank(0, is_long=True))


def test_ranks_may_wait_for_one_that_gets_on_or_does_long_work() -> None:
    assert not hangs_after(LIMIT_S + 1, a_rank(5), a_rank(5, is_long=True))
    clock = Clock()
    liveness = Liveness(LIMIT_S, clock)
    for beats in range(20):
        liveness.note((a_rank(beats), a_rank(3)))
        assert liveness.hangs_for_s is None
        clock.now_s += LIMIT_S / 2


def test_ranks_that_are_done_are_not_waited_for() -> None:
    assert hangs_after(LIMIT_S + 1, a_rank(9, phase=Phase.DONE), a_rank(5))
    assert not hangs_after(LIMIT_S + 1, a_rank(9, phase=Phase.DONE), a_rank(9, phase=Phase.DONE))


def test_it_is_told_how_long_nothing_has_happened() -> None:
    clock = Clock()
    liveness = Liveness(LIMIT_S, clock)
    liveness.note((a_rank(1), a_rank(1)))
    clock.now_s += 30
    liveness.note((a_rank(1), a_rank(2)))
    clock.now_s += 100
    assert liveness.hangs_for_s == 100
