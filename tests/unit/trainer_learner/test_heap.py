"""Free memory goes back to the machine at an epoch's end, and many threads do not keep many heaps."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import psutil
import pytest
import torch
from support.memory_data import a_learner

from learnfleet.trainer.heap import ReleaseFreeMemory
from learnfleet.trainer.state import TrainState

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is not glibc")
_COUNT, _BYTES = 3000, 2**15
# In a process of its own, as the bound stays. `malloc_info` lists the heaps.
_HEAPS_OF_MANY_THREADS = """
import ctypes, sys, tempfile, threading
from support.memory_data import a_learner
from learnfleet.trainer.heap import ReleaseFreeMemory
from learnfleet.trainer.state import TrainState

if sys.argv[1] == "bounded":
    ReleaseFreeMemory().on_train_begin(TrainState(a_learner(), a_learner().model, 1, 1))
together = threading.Barrier(16)
library = ctypes.CDLL(None)
library.malloc.restype = ctypes.c_void_p

def work():
    library.malloc(1000)
    together.wait()

threads = [threading.Thread(target=work) for _ in range(16)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
library.fopen.restype = ctypes.c_void_p
with tempfile.NamedTemporaryFile() as file:
    stream = ctypes.c_void_p(library.fopen(file.name.encode(), b"w"))
    library.malloc_info(0, stream)
    library.fclose(stream)
    print(file.read().count(b"<heap nr="))
"""


def test_what_was_freed_between_what_is_held_is_given_back_at_an_epochs_end() -> None:
    blocks = [torch.ones(_BYTES // 4) for _ in range(_COUNT)]
    held = blocks[::100]
    before = psutil.Process().memory_info().rss
    del blocks
    ReleaseFreeMemory().on_epoch_end(TrainState(a_learner(), a_learner().model, 1, 1))
    assert before - psutil.Process().memory_info().rss > _COUNT * _BYTES / 2
    assert all(bool(block.all()) for block in held)


def test_threads_beyond_count_share_three_heaps_in_a_job() -> None:
    command = [sys.executable, "-c", _HEAPS_OF_MANY_THREADS]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    bounded, free = (
        int(subprocess.run([*command, how], env=env, check=True, capture_output=True, text=True).stdout)
        for how in ("bounded", "free")
    )
    assert bounded <= 3
    assert free > 3
