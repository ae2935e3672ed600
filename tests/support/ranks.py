"""Runs functions in real processes, one a rank, joined by gloo.

`python -m support.ranks <folder> <world size> <module> <function>...` forks one process a rank, after the slow imports,
and calls `function(rank, folder)` of each function in each; what rank r returns is written to `<folder>/rank<r>.json`.
A rank that dies takes the others with it, by SIGKILL.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

TESTS = Path(__file__).parents[1]


def run_ranks(functions: Sequence[Callable[[int, Path], object]], folder: Path, world_size: int = 2) -> dict[str, Any]:
    """What each function (of one test module) gave, by its name: one value a rank. Raises CalledProcessError."""
    folder.mkdir(parents=True, exist_ok=True)
    module = Path(sys.modules[functions[0].__module__].__file__ or "").relative_to(TESTS).with_suffix("")
    names = [function.__name__ for function in functions]
    path = os.pathsep.join([str(TESTS), str(TESTS.parent / "trainer"), os.environ.get("PYTHONPATH", "")])
    subprocess.run(
        [sys.executable, "-m", "support.ranks", str(folder), str(world_size), ".".join(module.parts), *names],
        env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
        check=True,
        timeout=240,
    )
    ranks = [json.loads((folder / f"rank{rank}.json").read_text()) for rank in range(world_size)]
    return {name: [answers[name] for answers in ranks] for name in names}


def fork_ranks(world_size: int, body: Callable[[int], None]) -> bool:
    """Call body(rank) in a fork for each rank. True when all ended well; the first that does not ends the others."""
    children = {_fork(rank, body) for rank in range(world_size)}
    succeeded = True
    while children:
        pid, status = os.wait()
        children.discard(pid)
        if status != 0 and succeeded:
            succeeded = False
            for child in children:
                os.kill(child, signal.SIGKILL)
    return succeeded


def _fork(rank: int, body: Callable[[int], None]) -> int:
    pid = os.fork()
    if pid:
        return pid
    try:
        body(rank)
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def join(rank: int, world_size: int, rendezvous: Path) -> None:
    """Make this process one of a gloo group. `rendezvous` must be a file that does not exist yet."""
    import torch
    import torch.distributed as dist

    torch.set_num_threads(1)
    if world_size > 1:
        dist.init_process_group("gloo", f"file://{rendezvous}", timedelta(seconds=60), world_size=world_size, rank=rank)


def _main(folder: Path, world_size: int, module: str, names: Sequence[str]) -> int:
    functions = [getattr(importlib.import_module(module), name) for name in names]

    def body(rank: int) -> None:
        join(rank, world_size, folder / "rendezvous")
        answers = {}
        for function in functions:
            own = folder / function.__name__
            own.mkdir(exist_ok=True)
            answers[function.__name__] = function(rank, own)
        (folder / f"rank{rank}.json").write_text(json.dumps(answers))

    return 0 if fork_ranks(world_size, body) else 1


if __name__ == "__main__":
    sys.exit(_main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4:]))
