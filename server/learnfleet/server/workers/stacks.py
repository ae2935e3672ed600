"""Where the threads of this process stand."""

from __future__ import annotations

import sys
import threading
import traceback


def all_stacks() -> str:
    """The stack of each thread but the one that asks, the training thread's first."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    frames = {ident: frame for ident, frame in sys._current_frames().items() if ident != threading.get_ident()}
    order = sorted(frames, key=lambda ident: not names.get(ident, "").startswith("torch"))
    return "\n".join(
        f"thread {names.get(ident, ident)}:\n{''.join(traceback.format_stack(frames[ident]))}" for ident in order
    )
