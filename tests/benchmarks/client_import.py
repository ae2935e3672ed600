"""What a program pays for the client before its first call: fresh processes, one after another.

    python tests/benchmarks/client_import.py [--rounds 15] [--json FILE]

Each round starts Python anew for each import and takes the time of the import statement alone, then of the whole
process. `grpc` is what any gRPC client imports; `learnfleet.trainer` with its Learner is what the client spares.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from timing import interleaved, report, rows_of

_IMPORTS = {
    "learnfleet.client": "import learnfleet.client",
    "grpc alone": "import grpc",
    "learnfleet.trainer": "from learnfleet.trainer import Learner",
}
_TIMED = "import time; start = time.perf_counter(); {}; print(time.perf_counter() - start)"


def import_ms(statement: str) -> float:
    done = subprocess.run([sys.executable, "-c", _TIMED.format(statement)], capture_output=True, text=True, check=True)
    return float(done.stdout) * 1e3


def process_ms(statement: str) -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", statement], check=True)
    return (time.perf_counter() - start) * 1e3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    own = next(iter(_IMPORTS))
    imports: dict[str, Callable[[], float]] = {name: partial(import_ms, text) for name, text in _IMPORTS.items()}
    rows = rows_of("the import statement", "ms", interleaved(imports, args.rounds), own)
    processes: dict[str, Callable[[], float]] = {name: partial(process_ms, text) for name, text in _IMPORTS.items()}
    processes["no import"] = partial(process_ms, "pass")
    rows += rows_of("a whole process", "ms", interleaved(processes, args.rounds), own)
    report("Importing the client", rows, args.json)


if __name__ == "__main__":
    main()
