"""How fast a folder is uploaded, and what the server's memory does meanwhile.

    python tests/benchmarks/upload.py [--megabytes 1000] [--rounds 3] [--json FILE]

One real server on this machine. The ratio is that to copying the same files twice with a SHA-256 each time, which an
upload cannot do without: bytes are stored as they come, hashed, unpacked, and hashed file by file.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import statistics
import tempfile
import time
from pathlib import Path

import psutil
from timing import report, row_of

from learnfleet.client import Client
from learnfleet.server.commands.local_server import local_server

_FILE_BYTES = 500_000  # a photo


def write_files(folder: Path, megabytes: int, seed: int) -> Path:
    """Files that differ from those of other seeds."""
    block = hashlib.sha256(str(seed).encode()).digest() * (_FILE_BYTES // 32)
    for number in range(megabytes * 2):
        path = folder / f"class{number % 10}" / f"{number:05}.bin"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(number.to_bytes(8, "big") + block)
    return folder


def copy_twice_s(folder: Path, scratch: Path) -> float:
    began_s = time.perf_counter()
    for name in ("first", "second"):
        shutil.copytree(folder, scratch / name)
        for path in (scratch / name).rglob("*.bin"):
            hashlib.sha256(path.read_bytes()).digest()
    took_s = time.perf_counter() - began_s
    for name in ("first", "second"):
        shutil.rmtree(scratch / name)
    return took_s


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    uploads, copies, grown = [], [], []
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        with (
            local_server(scratch / "data", [scratch], scratch / "server.log") as server,
            Client.connect(server.address) as client,
        ):
            process = psutil.Process(server.process.pid)
            for number in range(args.rounds):
                folder = write_files(scratch / f"files{number}", args.megabytes, number)
                copies.append(copy_twice_s(folder, scratch))
                before = process.memory_info().rss
                began_s = time.perf_counter()
                client.datasets.upload(folder, "speed", wait=False)
                uploads.append(time.perf_counter() - began_s)
                grown.append((process.memory_info().rss - before) / 2**20)
                shutil.rmtree(folder)
    case = f"{args.megabytes} MB in files of 0.5 MB"
    ratio = statistics.median(uploads) / statistics.median(copies)
    rows = [
        row_of(case, "upload", "s", uploads, 1.0),
        row_of(case, "copy and hash twice", "s", copies, ratio),
        row_of(case, "server's memory after it, more than before", "MiB", grown),
    ]
    report("Uploading a data set", rows, args.json)


if __name__ == "__main__":
    main()
