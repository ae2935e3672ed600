"""Python itself, set for a process that answers calls."""

from __future__ import annotations

import gc
import sys

# While the scheduler plans a long queue, each time that a call gives up the interpreter (a read of the store, a look at
# a folder: dozens of times) it waits for so long to have it back. With Python's 5 ms a submit took a third of a second.
# In a replica it is the thread that computes, after each of a model's operations.
_SWITCH_S = 0.0001
# A look at ten thousand jobs makes tens of thousands of objects, which die at its end. With Python's thresholds (700,
# 10, 10) the collector went through all objects that there are at each look: 30 ms in which no call moved. The young
# are looked at two thousand at a time, a millisecond; the others a hundred times less often than by default.
_COLLECTED_AFTER = (2_000, 500, 10)


def tune_interpreter() -> None:
    """Short turns for threads, and a garbage collector that leaves alone what is there for good.

    All modules of a server are some hundred thousand objects. To look at them took 60 ms, in which no call moved.
    """
    sys.setswitchinterval(_SWITCH_S)
    gc.set_threshold(*_COLLECTED_AFTER)
    gc.collect()
    gc.freeze()
