"""How large batches are, what stays in memory, how many replicas there are."""

from __future__ import annotations

import asyncio
import math

import pytest

from learnfleet.server.inference.batch_size import BatchSize
from learnfleet.server.inference.line import Line, Waiting
from learnfleet.server.inference.memory import Memory
from learnfleet.server.inference.ports import InferOptions, PictureFile
from learnfleet.server.inference.references import Target
from learnfleet.server.inference.scaler import Pressure, Scaler, ScaleSettings
from learnfleet.server.inference.served import Served

MANY = 1000


def settled(cost_s: dict[int, float], most: int = 32, batches: int = 60) -> int:
    """The size in use after so many full batches of a model that takes `cost_s` an item."""
    size = BatchSize(most)
    for _ in range(batches):
        limit = size.limit(MANY)
        size.record(limit, limit * cost_s[limit])
    return size.limit(MANY)


@pytest.mark.parametrize("best", [1, 2, 4, 8, 16, 32])
def test_the_batch_size_goes_to_where_an_item_takes_the_least_time(best: int) -> None:
    sizes = [1, 2, 4, 8, 16, 32]
    cost_s = {size: 0.025 * 1.2 ** abs(sizes.index(size) - sizes.index(best)) for size in sizes}
    assert settled(cost_s) == best


def test_a_gain_that_is_noise_does_not_change_the_batch_size() -> None:
    assert settled({1: 0.025, 2: 0.025, 4: 0.02475, 8: 0.025, 16: 0.02475, 32: 0.025}) == 8


def test_a_greatest_size_that_is_no_power_of_two_is_reached() -> None:
    assert settled({1: 9, 2: 8, 4: 7, 8: 6, 12: 5}, most=12) == 12


def test_a_larger_size_is_tried_only_by_as_many_as_it_takes() -> None:
    size = BatchSize(32)
    for _ in range(3):
        size.record(8, 0.2)
    for _ in range(3):
        size.record(4, 0.2)
    assert size.limit(MANY) == 16
    assert size.limit(12) == 8


def test_another_best_size_is_found_later() -> None:
    size = BatchSize(32)
    for _ in range(50):
        size.record(size.limit(MANY), 0.02 * size.limit(MANY))
    assert size.limit(MANY) == 8
    for _ in range(1000):  # now larger ones are better
        limit = size.limit(MANY)
        size.record(limit, 0.02 * limit / limit**0.5)
    assert size.limit(MANY) == 32


def test_models_longest_unused_are_forgotten_first_but_not_those_kept() -> None:
    memory = Memory(100)
    for key in "abcd":
        memory.add(key, 40)
    memory.use("a")
    assert memory.too_many(kept={"b"}) == ["c", "d"]
    assert memory.used_bytes == 160


def test_a_model_larger_than_the_memory_stays_alone() -> None:
    memory = Memory(100)
    memory.add("small", 10)
    memory.add("huge", 500)
    assert memory.too_many(kept=()) == ["small"]


def test_a_queue_that_lasts_brings_one_replica_after_another() -> None:
    scaler = Scaler(ScaleSettings(least=0, most=3, patience_s=1))
    assert not scaler.more(0, replicas=1, batches=5)
    assert not scaler.more(0.9, replicas=1, batches=5)
    assert scaler.more(1, replicas=1, batches=5)
    assert not scaler.more(1.5, replicas=2, batches=5)
    assert scaler.more(2, replicas=2, batches=5)
    assert not scaler.more(9, replicas=3, batches=50)


def test_a_replica_that_computes_all_the_time_gets_help_and_one_client_is_none() -> None:
    scaler = Scaler(ScaleSettings(least=0, most=3, patience_s=1))
    assert not scaler.more(0, replicas=1, batches=1.0)
    assert scaler.more(1, replicas=1, batches=1.0)
    assert not scaler.more(2, replicas=2, batches=1.0)
    assert not scaler.more(9, replicas=2, batches=1.0)


def test_pressure_is_an_average_over_time_that_begins_anew_when_it_is_asked_for() -> None:
    pressure = Pressure()
    assert pressure.mean(0) == 0
    pressure.note(1, 4)  # 0 for a second, 4 for two, 1 for one
    pressure.note(3, 1)
    assert pressure.mean(4) == pytest.approx(9 / 4)
    assert pressure.mean(6) == pytest.approx(1)
    pressure.note(6, 0)
    assert pressure.mean(6) == 0
    assert pressure.mean(7) == 0


def test_a_line_that_was_given_up_is_no_pressure_although_nobody_told() -> None:
    """As that of a model that cannot be loaded: it would bring one replica after another."""
    target = Target("models/m/versions/1", "export")
    served = Served(target, Line(MANY), BatchSize(8))
    with asyncio.Runner() as runner:
        answer = runner.get_loop().create_future()
        item = Waiting(PictureFile(b""), InferOptions(), 0.0, math.inf, answer)
        served.line.add([item] * 16)
        served.note(0)
        assert served.pressure(1) == 2
        served.line.take_all()
    assert served.pressure(2) == 2, "until it is looked at"
    assert served.pressure(3) == 0


def test_a_queue_that_is_soon_gone_brings_none() -> None:
    scaler = Scaler(ScaleSettings(least=0, most=3, patience_s=1))
    for now, waiting in ((0.0, 5), (0.5, 0.5), (1.0, 5), (1.9, 5)):
        assert not scaler.more(now, replicas=1, batches=waiting)


def test_replicas_that_have_been_idle_longest_end_down_to_the_least() -> None:
    scaler = Scaler(ScaleSettings(least=1, most=4, idle_s=10))
    assert scaler.fewer(20, [8.0, None, 5.0, 15.0]) == [2, 0]
    assert scaler.fewer(20, [8.0, 5.0]) == [1]
    assert scaler.more(20, replicas=0, batches=0)
