"""Where the threads of this process stand."""

from __future__ import annotations

import contextlib
import faulthandler
import sys
import threading
import traceback
from collections.abc import Iterator
from pathlib import Path


def all_stacks() -> str:
    """The stack of each thread but the one that asks, the training thread's first."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    frames = {ident: frame for ident, frame in sys._current_frames().items() if ident != threading.get_ident()}
    order = sorted(frames, key=lambda ident: not names.get(ident, "").startswith("torch"))
    return "\n".join(
        f"thread {names.get(ident, ident)}:\n{''.join(traceback.format_stack(frames[ident]))}" for ident in order
    )


def crash_path(job_dir: Path, attempt: int, rank: int) -> Path:
    return job_dir / f"crash-{attempt}-{rank}.txt"


@contextlib.contextmanager
def crashes_to(path: Path) -> Iterator[None]:
    """Inside, a fault of native code (SIGSEGV, SIGABRT, ...) that ends this process leaves the stacks in the file."""
    was_on = faulthandler.is_enabled()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("wb")
    except OSError:  # a full disk costs the stacks only
        yield
        return
    with file:
        faulthandler.enable(file)
        try:
            yield
        finally:
            faulthandler.disable()
            if was_on:
                faulthandler.enable()
    with contextlib.suppress(OSError):
        path.unlink()
