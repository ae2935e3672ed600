"""Run the benchmarks one after another and write their tables to docs/benchmarks.md.

    python tests/benchmarks/run_all.py [--quick] [--only loop_overhead,epoch]

--quick takes fewer rounds (about 20 minutes on 2 cores instead of 60). With --only the tables of the others stay: what
was found last, and when, is kept in docs/benchmarks.json.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

_HERE = Path(__file__).parent
_PAGE = _HERE.parents[1] / "docs" / "benchmarks.md"
_FOUND = _PAGE.with_suffix(".json")
_PACKAGES = ("torch", "torchvision", "fastai", "lightning", "accelerate", "simplejpeg", "pillow")


@dataclass(frozen=True)
class Bench:
    """A script, and its arguments."""

    script: str
    full: tuple[str, ...] = ()
    quick: tuple[str, ...] = ()
    variant: str = ""

    @property
    def name(self) -> str:
        return f"{self.script}_{self.variant}" if self.variant else self.script


_TWO_THREADS = ("--threads", "2")
_TWO_REPLICAS = ("--replicas", "2", "--only", "learnfleet")
_SHORT = ("--only", "learnfleet", "--seconds", "4", "--rounds", "1")
BENCHES = (
    Bench("loop_overhead", (), ("--rounds", "5", "--steps", "12")),
    Bench("data_path", ("--threads", "1"), ("--threads", "1", "--rounds", "3")),
    Bench("epoch", ("--threads", "2"), ("--threads", "2", "--rounds", "3")),
    Bench("options", (), ("--rounds", "3")),
    Bench("checkpoint_block"),
    Bench("memory"),
    Bench("warm_start"),
    Bench("remote_overhead", (), ("--rounds", "3")),
    Bench("watch_fanout", (), ("--rounds", "1")),
    Bench("queue_scale", (), ("--rounds", "1")),
    Bench("plan", (), ("--rounds", "3")),
    Bench("serving", (), ("--seconds", "4", "--rounds", "1")),
    Bench("serving", (*_TWO_THREADS, "--only", "learnfleet,preds"), (*_TWO_THREADS, *_SHORT), "two_threads"),
    Bench("serving", (*_TWO_THREADS, *_TWO_REPLICAS), (*_TWO_THREADS, *_TWO_REPLICAS, *_SHORT), "two_replicas"),
    Bench("rpc_overhead", (), ("--rounds", "3", "--calls", "200")),
    Bench("serving_accuracy"),
    Bench("client_import", (), ("--rounds", "7")),
    Bench("interpret", (), ("--rounds", "2", "--items", "100")),
    Bench("upload", (), ("--rounds", "1", "--megabytes", "200")),
)

_INTRO = """# Benchmarks

Every figure is measured side by side in one run, contestants taking turns; what counts are the ratios. `make bench`
installs the peers and writes this page anew; each script in [tests/benchmarks](../tests/benchmarks) says in its head
what is measured and can be run alone. *least* and *most* are over the rounds; the ratio is the median over the rounds
of learnfleet's figure to the contestant's (for times below 1, for rates above 1: learnfleet is ahead), in the tables of
options, checkpoints and memory of the first row's to each, or as the unit says.
"""


def run(bench: Bench, quick: bool) -> dict[str, Any]:
    """What the page says of it."""
    is_quick = quick and bool(bench.quick)
    arguments = bench.quick if is_quick else bench.full
    with tempfile.TemporaryDirectory() as name:
        found = Path(name) / "found.jsonl"
        command = [sys.executable, "-W", "ignore", str(_HERE / f"{bench.script}.py"), *arguments, "--json", str(found)]
        print("==", " ".join(["python", f"tests/benchmarks/{bench.script}.py", *arguments]), flush=True)
        subprocess.run(command, check=True)
        entries = [json.loads(line) for line in found.read_text().splitlines()]
    ran = " ".join(["python", f"tests/benchmarks/{bench.script}.py", *arguments])
    return {"command": ran, "quick": is_quick, "machine": machine(), "tables": entries}


def cells(row: dict[str, Any]) -> list[str]:
    numbers = [f"{row[name]:.4g}" for name in ("median", "low", "high")]
    return [row["case"], row["name"], *numbers, row["unit"], "" if row["ratio"] is None else f"{row['ratio']:.2f}"]


def table(entry: dict[str, Any]) -> str:
    head = f"## {entry['title']}\n\n| case | contestant | median | least | most | unit | ratio |\n"
    rows = [f"| {' | '.join(cells(row))} |" for row in entry["rows"]]
    return head + "|---|---|---|---|---|---|---|\n" + "\n".join(rows) + "\n"


def machine() -> str:
    versions = []
    for name in _PACKAGES:
        try:
            versions.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            versions.append(f"{name} not installed")
    day = datetime.now(UTC).date().isoformat()
    return f"{day}: {os.cpu_count()} cores ({platform.machine()}), no GPU; {', '.join(versions)}"


def page(found: dict[str, Any]) -> str:
    parts = [_INTRO]
    for bench in BENCHES:
        if bench.name in found:
            entry = found[bench.name]
            rounds = "; fewer rounds than `make bench` takes" if entry["quick"] else ""
            parts += [*map(table, entry["tables"]), f"`{entry['command']}`, {entry['machine']}{rounds}.\n"]
    return "\n".join(parts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", default="")
    args = parser.parse_args()
    only, known = set(filter(None, args.only.split(","))), [bench.name for bench in BENCHES]
    if unknown := only.difference(known):
        parser.error(f"--only: there is no {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    wanted = [bench for bench in BENCHES if not only or bench.name in only]
    found: dict[str, Any] = json.loads(_FOUND.read_text()) if _FOUND.exists() else {}
    for bench in wanted:
        found[bench.name] = run(bench, args.quick)
        _FOUND.write_text(json.dumps(found, indent=1) + "\n")
        _PAGE.write_text(page(found))
    print(f"written: {_PAGE}")


if __name__ == "__main__":
    main()
