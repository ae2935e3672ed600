from __future__ import annotations

import gc
import threading

import pytest

from learnfleet.trainer.readers import readers

_LONG = 30  # seconds, before a test that hangs fails


def test_the_end_drops_what_has_not_begun_and_waits_for_what_has() -> None:
    begun, go, ended = threading.Event(), threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        assert go.wait(_LONG)

    lending = readers(1)
    pool = lending.__enter__()
    running, waiting = pool.submit(work), pool.submit(work)
    assert begun.wait(_LONG)

    def end() -> None:
        lending.__exit__(None, None, None)
        ended.set()

    ending = threading.Thread(target=end)
    ending.start()
    waiting.add_done_callback(lambda _: go.set())
    ending.join(_LONG)
    assert ended.is_set()
    assert waiting.cancelled()
    assert running.done()
    assert running.exception() is None


def test_those_that_read_at_the_same_time_have_threads_of_their_own() -> None:
    meeting = threading.Barrier(2, timeout=_LONG)
    with readers(1) as one, readers(1) as other:
        waiting = [pool.submit(meeting.wait) for pool in (one, other)]
        assert sorted(job.result() for job in waiting) == [0, 1]


def test_threads_are_used_again() -> None:
    seen = set()
    for _ in range(3):
        with readers(1) as pool:
            seen.add(pool.submit(threading.get_ident).result())
    assert len(seen) == 1


@pytest.mark.timeout(_LONG)
def test_a_forgotten_lending_may_be_collected_by_its_own_thread() -> None:
    def lend() -> None:
        lending = readers(1)
        pool = lending.__enter__()
        holder = [lending]
        holder.append(holder)  # only the collector of cycles ends it
        collected.append(pool.submit(gc.collect))

    collected: list[object] = []
    lend()
    with readers(1) as pool:
        assert pool.submit(lambda: 1).result(_LONG) == 1
