"""What the C library does with memory that is free: kept for the next batch, or given back. Needs no torch.

Where the library is not glibc nothing happens.
"""

from __future__ import annotations

import ctypes
from functools import cache

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8  # M_... of mallopt
_NEVER = 2**30  # bytes


def limit_heaps(count: int) -> None:
    """Threads that begin from now on share so many heaps; by default there are up to eight a core."""
    if (library := _library()) is not None:
        library.mallopt(_ARENA_MAX, count)


def keep_free_memory() -> None:
    """For a process that computes batches of the same few sizes over and over. Early: threads keep the heap they have.

    By default each large activation is mapped anew and filled with zeros by the kernel, page by page: up to a sixth of
    a forward pass on a CPU. Heaps of threads other than the main one have at most 64 MB, so there is one heap for all.
    """
    limit_heaps(1)
    if (library := _library()) is not None:
        library.mallopt(_MMAP_THRESHOLD, _NEVER)
        library.mallopt(_TRIM_THRESHOLD, _NEVER)


def release_free_memory() -> None:
    """Give back what is free at this moment. Takes milliseconds."""
    if (library := _library()) is not None:
        library.malloc_trim(0)


@cache
def _library() -> ctypes.CDLL | None:
    """glibc; None where there is another C library."""
    try:
        library = ctypes.CDLL(None)
        library.malloc_trim, library.mallopt  # noqa: B018  # looked up
    except (AttributeError, OSError):
        return None
    return library
