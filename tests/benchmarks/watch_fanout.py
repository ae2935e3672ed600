"""Hundreds of watchers of jobs whose logs are being written: what they are given, how fast, and what it takes.

    python tests/benchmarks/watch_fanout.py [--watchers 500] [--jobs 20] [--events 200000] [--rounds 3] [--json FILE]

The gRPC server, the store and the watch are the service's own, in a process of their own in which a thread writes the
logs as the scheduler's threads do; there are no workers. Watchers are in two further processes, a hundred on a
connection. `--events` counts those in the logs: each is delivered to all watchers of its job, and every watcher checks
each for its number and its text. Memory is the resident memory of the server's process, sampled every 20 ms, less what
it was when the server listened and nobody watched. Silent watchers open a stream and never read from it.
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import multiprocessing
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path

import psutil
from timing import Row, report, row_of

sys.path.insert(0, str(Path(__file__).parents[1]))
from support.logged_jobs import put_job, write_log
from support.rpc_server import running_server
from support.watchers import Crowd, watch_all

_PROCESSES = 2
_SAMPLE_S = 0.02
_MIB = 2**20


def serve(folder: Path, count: int, events: int, pipe: Connection) -> None:
    """The server's process: tells its address and its jobs, then writes their logs when it is told to."""
    with running_server(folder, folder) as server:
        ids = [f"job{number:02d}" for number in range(count)]
        pipe.send((server.address, [put_job(server.store, job_id) for job_id in ids]))
        while pipe.recv() == "write":
            write_log(server.store, ids, events // count, server.notify)
            pipe.send("written")


@dataclasses.dataclass(frozen=True)
class Served:
    """A server's process."""

    process: psutil.Process
    pipe: Connection
    address: str
    jobs: dict[str, int]

    def write(self) -> None:
        self.pipe.send("write")

    def wait_written(self) -> None:
        assert self.pipe.recv() == "written"


@contextmanager
def served(jobs: int, events: int) -> Iterator[Served]:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    with tempfile.TemporaryDirectory() as name:
        process = context.Process(target=serve, args=(Path(name), jobs, events, theirs))
        process.start()
        theirs.close()  # so that the server's death is heard
        try:
            address, names = ours.recv()
            yield Served(psutil.Process(process.pid), ours, address, dict.fromkeys(names, events // jobs))
        finally:
            ours.send("end")
            process.join()


def grown_by(process: psutil.Process, run: Callable[[], None]) -> float:
    """MiB that the process grew by at the most while `run` ran."""
    before = most = process.memory_info().rss
    is_over = threading.Event()

    def sample() -> None:
        nonlocal most
        while not is_over.wait(_SAMPLE_S):
            most = max(most, process.memory_info().rss)

    sampling = threading.Thread(target=sample)
    sampling.start()
    run()
    is_over.set()
    sampling.join()
    return (most - before) / _MIB


def watched(server: Served, crowd: Crowd, pool: ProcessPoolExecutor) -> list[str]:
    """What the crowd, over several processes, finds wrong."""
    share = dataclasses.replace(crowd, watchers=crowd.watchers // _PROCESSES, silent=crowd.silent // _PROCESSES)
    asked = [pool.submit(_watch, server.address, server.jobs, share) for _ in range(_PROCESSES)]
    return [fault for answer in asked for fault in answer.result()]


def _watch(address: str, jobs: dict[str, int], crowd: Crowd) -> list[str]:
    return asyncio.run(watch_all(address, jobs, crowd))


@dataclasses.dataclass(frozen=True)
class Found:
    """Of one round."""

    grown_mib: float
    seconds: float
    faults: list[str]


def one_round(crowd: Crowd, jobs: int, events: int, pool: ProcessPoolExecutor) -> Found:
    faults: list[str] = []

    with served(jobs, events) as server:

        def run() -> None:
            server.write()
            faults.extend(watched(server, crowd, pool))
            server.wait_written()

        start = time.perf_counter()
        grown = grown_by(server.process, run)
        return Found(grown, time.perf_counter() - start, faults)


def measure(case: str, crowd: Crowd, args: argparse.Namespace, pool: ProcessPoolExecutor) -> list[Row]:
    found = [one_round(crowd, args.jobs, args.events, pool) for _ in range(args.rounds)]
    for fault in found[0].faults[:20]:
        print(fault)
    deliveries = crowd.watchers * args.events / args.jobs
    return [
        row_of(case, "server grows by", "MiB", [one.grown_mib for one in found]),
        row_of(case, "delivered", "events/s", [deliveries / one.seconds for one in found]),
        row_of(case, "wrong (lost, repeated, ...)", "events", [len(one.faults) for one in found]),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("watchers", 500), ("jobs", 20), ("events", 200_000), ("rounds", 3)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    case = f"{args.watchers} watchers, {args.jobs} jobs, {args.events:,} events"
    crowd = Crowd(args.watchers)
    cases = {
        case: crowd,
        f"{case}, 1 in 5 reconnects": dataclasses.replace(crowd, reconnecting=0.2),
        f"{case}, {args.watchers} silent ones more": dataclasses.replace(crowd, silent=args.watchers),
    }
    with ProcessPoolExecutor(_PROCESSES, multiprocessing.get_context("spawn")) as pool:
        rows = [row for case, crowd in cases.items() for row in measure(case, crowd, args, pool)]
    report("Watching jobs", rows, args.json)


if __name__ == "__main__":
    main()
