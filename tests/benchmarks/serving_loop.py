"""The loop in one process that servers are measured against, taking turns with them."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_HERE = Path(__file__).parent
_SIZES = (1, 4, 8, 16, 32)
_SINGLES = 60


class Loop:
    """A process that has the model and waits (serving_peers.py)."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.rates: list[float] = []  # of the best way, a turn each
        self.singles_s: list[float] = []
        self.best: tuple[str, int] = ("ahead", 8)

    def _ask(self, **what: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(what) + "\n")
        self._process.stdin.flush()
        found: dict[str, Any] = json.loads(self._process.stdout.readline())
        return found

    def choose(self, seconds: float) -> dict[tuple[str, int], float]:
        """Try every way to write it; the fastest is the one that takes turns from then on."""
        found = {
            (way, size): self._ask(way=way, size=size, seconds=seconds)["rate"]
            for way in ("plain", "ahead")
            for size in _SIZES
        }
        self.best = max(found, key=lambda key: found[key])
        return found

    def turn(self, seconds: float) -> None:
        """Measured anew: the fastest of ten is also the luckiest."""
        way, size = self.best
        self.rates.append(self._ask(way=way, size=size, seconds=seconds)["rate"])
        self.singles_s.append(self._ask(single=_SINGLES)["seconds"])

    def after_pauses_s(self, pauses_s: Sequence[float]) -> list[float]:
        """A single picture after each: what a model takes that nobody has asked for so long."""
        took_s: list[float] = self._ask(paused=list(pauses_s))["seconds"]
        return took_s

    @property
    def rate(self) -> float:
        """Around what was measured between the last two turns."""
        return statistics.mean(self.rates[-2:])

    @property
    def single_s(self) -> float:
        return statistics.mean(self.singles_s[-2:])


@contextmanager
def loop_of(export: Path, pictures: Path, *options: str) -> Iterator[Loop]:
    command = [sys.executable, str(_HERE / "serving_peers.py"), "loop", str(export), str(pictures), *options]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield Loop(process)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        process.wait(60)
