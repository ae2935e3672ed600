"""Threads that read pictures: lent to one iterator at a time, and used again by the next.

With new threads every epoch, each would get another of the C library's heaps (up to eight a core), and each of those
keeps the batches' memory that it once had: a training process grew by a tenth in eight epochs, though nothing was held.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import Any, ParamSpec, TypeVar

_P = ParamSpec("_P")
_T = TypeVar("_T")

_MOST_IDLE = 2  # pools of each size: training and validation seldom read at once
_idle: dict[int, list[ThreadPoolExecutor]] = {}
_lock = threading.RLock()  # an abandoned iterator can be collected, and give its pool back, wherever memory is taken
_here = threading.local()


class Readers:
    """The threads of one iterator."""

    def __init__(self, pool: ThreadPoolExecutor) -> None:
        self._pool = pool
        self._begun: set[Future[Any]] = set()

    def submit(self, function: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> Future[_T]:
        job = self._pool.submit(function, *args, **kwargs)
        self._begun.add(job)
        job.add_done_callback(self._begun.discard)
        return job

    def stop(self) -> None:
        """Drop what has not begun and wait for what has."""
        begun = list(self._begun)
        for job in begun:
            job.cancel()
        if not getattr(_here, "reads", False):  # collected by a thread that reads: it would wait for itself
            wait(begun)


@contextmanager
def readers(threads: int) -> Iterator[Readers]:
    """So many threads. At the end none of them works on anything, whatever was submitted and not waited for."""
    pool = _taken(threads)
    lent = Readers(pool)
    try:
        yield lent
    finally:
        lent.stop()
        _give_back(threads, pool)


def _taken(threads: int) -> ThreadPoolExecutor:
    with _lock:
        idle = _idle.get(threads)
        if idle:
            return idle.pop()
    return ThreadPoolExecutor(threads, thread_name_prefix="pictures", initializer=_mark)


def _mark() -> None:
    _here.reads = True


def _give_back(threads: int, pool: ThreadPoolExecutor) -> None:
    with _lock:
        idle = _idle.setdefault(threads, [])
        if len(idle) < _MOST_IDLE:
            idle.append(pool)
            return
    pool.shutdown(wait=True)


def _forget() -> None:
    """A forked process has the pools but not their threads."""
    global _lock
    _lock = threading.RLock()
    _idle.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
