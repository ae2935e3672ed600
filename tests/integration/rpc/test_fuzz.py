"""Messages that nobody would send, to every RPC: none of them brings out a fault, ends the server or fills its memory.

FUZZ_MESSAGES sets how many are sent by the slow test (a million), FUZZ_SEED plays one again.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from support.fuzz import METHODS, Fuzzed, Maker, fuzz
from support.fuzz_seeds import seeds

SEED = int(os.environ.get("FUZZ_SEED", "1"))
MESSAGES = int(os.environ.get("FUZZ_MESSAGES", "1000000"))
SAMPLE = 20_000
PARTS = 10
MOST_GROWTH = 1.1  # of the memory, from the first part's end to the last's
SLACK_BYTES = 20 * 2**20


@dataclass(frozen=True)
class Target:
    """The process that is fuzzed."""

    process: subprocess.Popen[str]
    address: str
    known: tuple[str, ...]

    def memory(self) -> int:
        return int(psutil.Process(self.process.pid).memory_info().rss)

    def send(self, count: int, seed: int) -> Fuzzed:
        return asyncio.run(fuzz(self.address, Maker(seed, self.known, seeds(self.known[1])), count))


@pytest.fixture
def target(tmp_path: Path, root: Path) -> Iterator[Target]:
    command = [sys.executable, "-m", "support.fuzz_server", str(tmp_path), str(root)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    log = tmp_path / "log"
    with log.open("w") as out:
        process = subprocess.Popen(
            command, env=environment, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=out
        )
    assert process.stdout is not None
    assert process.stdin is not None
    address, known = process.stdout.readline().strip(), process.stdout.readline().split()
    assert address, log.read_text()[-3000:]
    yield Target(process, address, tuple(known))
    with contextlib.suppress(BrokenPipeError):
        process.stdin.close()
    assert process.wait(60) == 0, log.read_text()[-3000:]


def test_a_sample_of_mutated_messages_brings_out_no_fault(target: Target) -> None:
    found = target.send(SAMPLE, SEED)
    assert found.wrong == []
    assert sum(found.codes.values()) == SAMPLE
    # They come further than to the parser, and everywhere.
    assert {"OK", "INVALID_ARGUMENT", "NOT_FOUND"} <= set(found.codes)
    assert 100 * len(METHODS) < SAMPLE


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_million_mutated_messages_bring_out_no_fault_and_leave_memory_flat(target: Target) -> None:
    memory = []
    for part in range(PARTS):
        found = target.send(MESSAGES // PARTS, SEED + part)
        assert found.wrong == [], f"FUZZ_SEED={SEED + part}"
        memory.append(target.memory())
        sys.stdout.write(f"{(part + 1) * MESSAGES // PARTS:,} messages, {memory[-1] / 2**20:.0f} MiB, {found.codes}\n")
    assert memory[-1] <= MOST_GROWTH * memory[0] + SLACK_BYTES, [f"{size / 2**20:.0f} MiB" for size in memory]
