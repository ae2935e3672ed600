"""A callback that takes all the memory it can get: installed for workers as users' packages are, by an entry point."""

from __future__ import annotations

import resource
from pathlib import Path

from support.faults import buggy_plugin

from learnfleet.trainer.callback import Callback
from learnfleet.trainer.state import TrainState

NAME = "hungry"
_BLOCK_BYTES = 64 << 20
_ROOM_BYTES = 256 << 20


class Hungry(Callback):
    """From a step on, takes blocks of memory until there is no more; as often as `marks` has lines to go.

    Args:
        at_step: optimiser steps over the learner's life.
        marks: file with a line for each time that it is still to happen; one is taken away each time.
        limited: give the process a limit of its own first. Without, somebody else has to.
    """

    order = 0

    def __init__(self, at_step: int, marks: str, limited: bool = True) -> None:
        self._at_step, self._marks, self._limited = at_step, Path(marks), limited
        self._taken: list[bytearray] = []

    def on_batch_end(self, state: TrainState) -> None:
        if state.train and state.global_step >= self._at_step and self._is_to_happen():
            if self._limited:
                has = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
                resource.setrlimit(resource.RLIMIT_AS, (has + _ROOM_BYTES, resource.RLIM_INFINITY))
            while True:
                self._taken.append(bytearray(b"x" * _BLOCK_BYTES))

    def _is_to_happen(self) -> bool:
        lines = self._marks.read_text().splitlines() if self._marks.exists() else []
        if lines:
            self._marks.write_text("".join(f"{line}\n" for line in lines[1:]))
        return bool(lines)


def install(folder: Path) -> Path:
    """What an installed package leaves for others to find it by: a folder for PYTHONPATH."""
    info = folder / "hungry-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: hungry\nVersion: 1.0\n")
    entries = f"{NAME} = {__name__}:Hungry\n{buggy_plugin.NAME} = {buggy_plugin.__name__}:Buggy\n"
    (info / "entry_points.txt").write_text(f"[learnfleet.callbacks]\n{entries}")
    return folder
