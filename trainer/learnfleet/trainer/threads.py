"""How many cores each thread of a process takes for what it computes.

OpenMP gives a team of threads to every thread that computes in parallel. As long as all teams together have no more
threads than there are cores, those that wait for work spin; beyond that they sleep, and have to be woken between any
two of the hundreds of operators of a step. So threads that decode or copy beside a model take one core each.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import cache
from threading import Lock

import torch
from threadpoolctl import ThreadpoolController

_setting = Lock()


def use_threads(threads: int) -> None:
    """Let torch use so many in what this thread computes. Threads that have not computed yet will have as many."""
    with _setting:
        torch.set_num_threads(threads)
        torch.get_num_threads()  # a thread that asks the first time is given what was set last, by whichever thread


def use_one_thread() -> None:
    """Let torch use no other in what this thread computes. Nothing changes for others, nor for those to come.

    MKL, which has no part in decoding and copying, is not told: matrix products and random numbers take more.
    """
    torch.get_num_threads()
    _openmp().limit(limits=1)


def helping_threads(count: int, name: str) -> ThreadPoolExecutor:
    """For what is done beside the thread that computes: each takes one core."""
    return ThreadPoolExecutor(count, thread_name_prefix=name, initializer=use_one_thread)


@cache
def _openmp() -> ThreadpoolController:
    """Torch's, and that of whatever else is loaded. Looking for it takes milliseconds."""
    return ThreadpoolController().select(user_api="openmp")
