"""Items that wait for a model."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable

import pytest

from learnfleet.server.errors import DeadlineExceeded
from learnfleet.server.inference.line import Full, Line, Waiting
from learnfleet.server.inference.ports import InferOptions, PictureFile

PLAIN, TTA = InferOptions(), InferOptions(tta=True)


def waiting(arrived: float, options: InferOptions = PLAIN, deadline: float = math.inf) -> Waiting:
    item = PictureFile(str(arrived).encode())
    return Waiting(item, options, arrived, deadline, asyncio.get_running_loop().create_future())


def in_loop(check: Callable[[], None]) -> None:
    async def run() -> None:
        check()

    asyncio.run(run())


def test_a_batch_is_the_oldest_items_of_one_kind_of_options() -> None:
    def check() -> None:
        line = Line(10)
        items = [waiting(1, TTA), waiting(2), waiting(3, TTA), waiting(4)]
        line.add(items)
        assert line.take(8) == [items[0], items[2]]
        assert line.take(1) == [items[1]]
        assert line.take(8) == [items[3]]
        assert line.take(8) == []

    in_loop(check)


def test_a_call_for_which_there_is_no_room_leaves_nothing_behind() -> None:
    def check() -> None:
        line = Line(3)
        line.add([waiting(1), waiting(2)])
        with pytest.raises(Full):
            line.add([waiting(3), waiting(4)])
        assert len(line) == 2
        line.add([waiting(5)])

    in_loop(check)


def test_items_past_their_deadline_or_that_nobody_waits_for_are_not_served() -> None:
    def check() -> None:
        line = Line(10)
        late, gone, good = waiting(1, deadline=5), waiting(2), waiting(3, deadline=7)
        line.add([late, gone, good])
        gone.answer.cancel()
        line.drop(now=5)
        assert line.take(8) == [good]
        assert isinstance(late.answer.exception(), DeadlineExceeded)

    in_loop(check)


def test_a_batch_goes_when_it_is_full_or_its_oldest_item_has_waited_for_long_enough() -> None:
    def check() -> None:
        line = Line(10)
        assert line.due_at(2, 0.5) is None
        line.add([waiting(1)])
        assert line.due_at(2, 0.5) == 1.5
        line.add([waiting(1.25)])
        assert line.due_at(2, 0.5) == 1
        assert line.due_at(8, 0.0) == 1

    in_loop(check)


def test_items_that_were_lost_with_a_replica_go_alone_and_are_given_up_with_a_second_one() -> None:
    def check() -> None:
        line = Line(4)
        items = [waiting(number) for number in range(4)]
        line.add(items)
        assert not line.is_next_suspect
        line.put_back_lost(line.take(2), "it died")
        assert line.is_next_suspect
        line.put_back_lost(line.take(8), "it died, too")
        given_up = items[0].answer.result()
        assert (given_up.error, given_up.is_lost) == ("two replicas were lost over it: it died, too", True)
        assert line.take(8) == [items[1]]
        assert not line.is_next_suspect
        assert line.take(8) == items[2:]

    in_loop(check)


def test_items_of_a_batch_that_was_not_computed_come_before_all_others_even_in_a_full_line() -> None:
    def check() -> None:
        line = Line(2)
        first = [waiting(1), waiting(2)]
        line.add(first)
        taken = line.take(2)
        line.add([waiting(3), waiting(4)])
        line.put_back(taken)
        assert line.take(3)[:2] == first

    in_loop(check)
