"""What a replica computes together."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Event, current_thread

import pytest

from learnfleet.server.inference.computing import Computed, Computing
from learnfleet.server.inference.ports import InferOptions

PLAIN = InferOptions()
TIMEOUT_S = 20


@dataclass
class Model:
    """Answers with its inputs, each batch when it may."""

    may: Event = field(default_factory=Event)
    begun: Event = field(default_factory=Event)
    batches: list[list[int]] = field(default_factory=list)

    def answer(self, inputs: Sequence[int], *options: object, **outputs: bool) -> list[int]:
        self.batches.append(list(inputs))
        self.begun.set()
        assert self.may.wait(TIMEOUT_S)
        if -1 in inputs:
            raise RuntimeError("out of memory")
        return list(inputs)


def together(calls: Sequence[tuple[Model, list[int], InferOptions]], most: int) -> list[Computed | Exception]:
    """What became of calls that wait while another is computed."""
    computing, first = Computing(lambda: None), Model()
    with ThreadPoolExecutor(len(calls) + 1) as pool:
        pool.submit(computing.compute, first, [0], PLAIN, most)  # type: ignore[arg-type]
        assert first.begun.wait(TIMEOUT_S)
        futures = []
        for model, inputs, options in calls:
            model.may.set()
            futures.append(pool.submit(computing.compute, model, inputs, options, most))  # type: ignore[arg-type]
            while len(computing._waiting) < len(futures):
                pass
        first.may.set()
        return [future.exception(TIMEOUT_S) or future.result() for future in futures]  # type: ignore[misc]


def test_what_waits_is_computed_together_as_far_as_there_is_room_and_each_has_its_own() -> None:
    model = Model()
    found = together([(model, [1, 2], PLAIN), (model, [3], PLAIN), (model, [4, 5], PLAIN), (model, [6], PLAIN)], most=4)
    assert model.batches == [[1, 2, 3, 6], [4, 5]]
    assert [one.answers for one in found if isinstance(one, Computed)] == [[1, 2], [3], [4, 5], [6]]
    assert [one.batch_size for one in found if isinstance(one, Computed)] == [4, 4, 2, 4]
    assert [one.speaks_for_batch for one in found if isinstance(one, Computed)] == [True, False, True, False]


def test_calls_of_other_models_or_options_are_never_computed_together() -> None:
    one, other = Model(), Model()
    together([(one, [1], PLAIN), (other, [2], PLAIN), (one, [3], InferOptions(tta=True)), (one, [4], PLAIN)], most=8)
    assert one.batches == [[1, 4], [3]]
    assert other.batches == [[2]]


def test_what_computing_raises_is_told_to_those_it_was_for_and_the_others_go_on() -> None:
    bad, good = Model(), Model()
    found = together([(bad, [-1], PLAIN), (bad, [1], PLAIN), (good, [2], PLAIN)], most=8)
    assert [str(error) for error in found[:2]] == ["out of memory"] * 2
    assert isinstance(found[2], Computed)


def test_a_call_of_more_than_the_size_is_not_divided() -> None:
    model = Model()
    (found,) = together([(model, list(range(9)), PLAIN)], most=4)
    assert isinstance(found, Computed)
    assert found.answers == list(range(9))


@pytest.mark.parametrize("waiting", [1, 5])
def test_the_first_waits_for_nobody(waiting: int) -> None:
    model = Model()
    model.may.set()
    found = Computing(lambda: None).compute(model, list(range(waiting)), PLAIN, 8)  # type: ignore[arg-type]
    assert model.batches == [list(range(waiting))]
    assert found.speaks_for_batch


def test_a_task_is_done_by_the_same_thread_before_what_waits_and_its_error_is_its_callers() -> None:
    order: list[str] = []
    computing, first = Computing(lambda: order.append(current_thread().name)), Model()
    with ThreadPoolExecutor(3) as pool:
        pool.submit(computing.compute, first, [0], PLAIN, 1)  # type: ignore[arg-type]
        assert first.begun.wait(TIMEOUT_S)
        waiting = pool.submit(computing.compute, first, [1], PLAIN, 1)  # type: ignore[arg-type]
        while not computing._waiting:
            pass

        def task() -> None:
            order.append(f"{current_thread().name} after {len(first.batches)}")
            raise MemoryError("of mine")

        done = pool.submit(computing.run, task)
        while not computing._tasks:
            pass
        first.may.set()
        with pytest.raises(MemoryError, match="of mine"):
            done.result(TIMEOUT_S)
        assert waiting.result(TIMEOUT_S).answers == [1]
    assert order == ["compute", "compute after 1"]
