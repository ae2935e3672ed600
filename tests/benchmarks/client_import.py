"""What a program pays for the client before its first call: fresh processes, one after another.

    python tests/benchmarks/client_import.py [--rounds 15] [--json FILE]

Each round starts Python anew for each import and takes the time of the import statement alone, then of the whole
process. The client's is that of the names which a script begins with, as they are loaded when they are asked for.
What Python compiled is kept from round to round, as with an installed package.
`grpc` is what any gRPC client imports; `learnfleet.trainer` with its Learner is what the client spares.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from timing import interleaved, report, rows_of

_IMPORTS = {
    "learnfleet.client": "from learnfleet.client import Client, ImageDataBunch",
    "grpc alone": "import grpc",
    "learnfleet.trainer": "from learnfleet.trainer import Learner",
}
_TIMED = "import time; start = time.perf_counter(); {}; print(time.perf_counter() - start)"


def import_ms(environment: Mapping[str, str], statement: str) -> float:
    command = [sys.executable, "-c", _TIMED.format(statement)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return float(done.stdout) * 1e3


def process_ms(environment: Mapping[str, str], statement: str) -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", statement], env=environment, check=True)
    return (time.perf_counter() - start) * 1e3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    own = next(iter(_IMPORTS))
    with tempfile.TemporaryDirectory() as compiled:
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        environment["PYTHONPYCACHEPREFIX"] = compiled
        imports = {name: partial(import_ms, environment, text) for name, text in _IMPORTS.items()}
        rows = rows_of("the import statement", "ms", interleaved(imports, args.rounds), own)
        processes = {name: partial(process_ms, environment, text) for name, text in _IMPORTS.items()}
        processes["no import"] = partial(process_ms, environment, "pass")
        rows += rows_of("a whole process", "ms", interleaved(processes, args.rounds), own)
    report("Importing the client", rows, args.json)


if __name__ == "__main__":
    main()
