"""A long queue: what a submit, a page of it and a restart take with ten thousand jobs of a hundred tenants in it.

    python tests/benchmarks/queue_scale.py [--jobs 10000] [--tenants 100] [--rounds 3] [--json FILE]

The gRPC server, the store and the scheduler are the service's own, in a process of their own; the cluster is a fake one
(tests/support) whose slots are taken, so that all jobs wait and the scheduler says of each why. Nine tenths of the jobs
are put into the store at once; the last tenth come over gRPC, half of them one after the other and half four at a time,
each for a learner of its own on a small folder, while the scheduler looks at all of them again and again. A restart is
from the start of a new process to the end of the scheduler's first look at the whole queue, its server listening by
then. The local Ray that a real server starts meanwhile is not in it. Fair shares are of a simulation, see `unfairness`.
"""

from __future__ import annotations

import argparse
import multiprocessing
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path

import grpc
from timing import Row, report, row_of

sys.path.insert(0, str(Path(__file__).parents[1]))
from support.pictures import a_data_folder
from support.scheduled_server import scheduled_server
from support.situations import Simulation, a_job

from learnfleet.server.interpreter import tune_interpreter
from learnfleet.server.rpc.ports import Capacity
from learnfleet.v1 import (
    job_pb2,
    job_service_pb2,
    job_service_pb2_grpc,
    learner_pb2,
    training_service_pb2,
    training_service_pb2_grpc,
)

_AT_ONCE = (1, 4)
_PAGES = 50
_TIMEOUT_S = 120


def serve(folder: Path, root: Path, fill: int, tenants: int, pipe: Connection) -> None:
    """The server's process: tells its address, then that the scheduler has looked at the whole queue."""
    tune_interpreter()  # as the server does
    with scheduled_server(folder, root) as server:
        server.fill(fill, tenants)
        server.fleet.scheduler.start()
        pipe.send(server.rpc.address)
        server.has_looked.wait()
        pipe.send("looked")
        pipe.recv()


@dataclass
class Found:
    """Milliseconds of calls by what is asked for, and seconds of restarts."""

    calls: dict[str, list[float]] = field(default_factory=dict)
    restarts: list[float] = field(default_factory=list)


@contextmanager
def served(folder: Path, root: Path, fill: int, tenants: int) -> Iterator[tuple[str, float]]:
    """The server's address, and the seconds until its scheduler had looked at all jobs."""
    context = multiprocessing.get_context("spawn")
    pipe, theirs = context.Pipe()
    process = context.Process(target=serve, args=(folder, root, fill, tenants, theirs))
    start = time.perf_counter()
    process.start()
    theirs.close()  # so that the server's death is heard
    try:
        address = pipe.recv()
        assert pipe.recv() == "looked"
        yield address, time.perf_counter() - start
    finally:
        pipe.send("end")
        process.join()


def timed_ms(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return (time.perf_counter() - start) * 1e3


def submit(channel: grpc.Channel, count: int, tenants: int, at_once: int) -> list[float]:
    stub = training_service_pb2_grpc.TrainingServiceStub(channel)
    data = learner_pb2.DataSpec(folder=learner_pb2.FolderSource(path="pets"), batch_size=4)
    request = training_service_pb2.TrainRequest(
        learner_spec=learner_pb2.LearnerSpec(data=data, architecture="resnet18"),
        stages=[job_pb2.Stage(fit=job_pb2.Fit(epochs=1))],
    )

    def one(number: int) -> float:
        whose = [("learnfleet-tenant", f"tenant-{number % tenants}")]
        return timed_ms(lambda: stub.Train(request, timeout=_TIMEOUT_S, metadata=whose))

    with ThreadPoolExecutor(at_once) as pool:
        return list(pool.map(one, range(count)))


def pages(channel: grpc.Channel) -> dict[str, list[float]]:
    """Milliseconds of a tenant's pages by what is asked for, one page after the other."""
    stub = job_service_pb2_grpc.JobServiceStub(channel)
    queued = [job_pb2.JOB_STATE_QUEUED]
    asked = {
        "page of 50": job_service_pb2.ListJobsRequest(),
        "page of 50, queued ones": job_service_pb2.ListJobsRequest(states=queued),
    }
    found: dict[str, list[float]] = {name: [] for name in asked}
    for _ in range(_PAGES):
        for name, request in asked.items():
            start = time.perf_counter()
            answer = stub.ListJobs(request, timeout=_TIMEOUT_S, metadata=[("learnfleet-tenant", "tenant-0")])
            found[name].append((time.perf_counter() - start) * 1e3)
            request.page_token = answer.next_page_token
    return found


def one_round(jobs: int, tenants: int, found: Found) -> None:
    with tempfile.TemporaryDirectory() as name:
        root, folder = Path(name) / "root", Path(name) / "server"
        a_data_folder(root / "pets", classes=("cat", "dog"))
        by_rpc = jobs // 10
        with served(folder, root, jobs - by_rpc, tenants) as (address, _), grpc.insecure_channel(address) as channel:
            for at_once in _AT_ONCE:
                taken = submit(channel, by_rpc // len(_AT_ONCE), tenants, at_once)
                found.calls.setdefault(f"submit, {at_once} at a time", []).extend(taken)
            for asked, taken in pages(channel).items():
                found.calls.setdefault(asked, []).extend(taken)
        with served(folder, root, 0, tenants) as (_, seconds):
            found.restarts.append(seconds)


def unfairness(jobs: int, tenants: int, seed: int) -> float:
    """How far the tenant that is farthest from its share of the slots' time is from it, in per cent of the share.

    The service's plan in simulated time: jobs of one to four workers and 20 to 80 s, queued tenant by tenant, on ten
    slots a tenant, until a fifth of them are left and all tenants still have some.
    """
    chance = random.Random(seed)
    simulation = Simulation(Capacity(10 * tenants, 0, elastic=False), tick_s=20)
    for tenant in range(tenants):
        for number in range(jobs // tenants):
            job = a_job(f"{tenant}-{number}", chance.randint(1, 4), tenant=f"t{tenant}")
            simulation.queue(job, chance.uniform(20.0, 80.0))
    while simulation.waiting > jobs // 5:
        simulation.step()
    shares = [simulation.slot_seconds[f"t{tenant}"] for tenant in range(tenants)]
    mean = sum(shares) / tenants
    return 100 * max(abs(share / mean - 1) for share in shares)


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("jobs", 10_000), ("tenants", 100), ("rounds", 3)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    found = Found()
    for _ in range(args.rounds):
        one_round(args.jobs, args.tenants, found)
    case = f"{args.jobs:,} queued jobs, {args.tenants} tenants"
    rows: list[Row] = []
    for name, values in found.calls.items():
        rows.append(row_of(case, name, "ms", values))
        rows.append(row_of(case, f"{name}, p99", "ms", [percentile(values, 0.99)]))
    rows.append(row_of(case, "restart", "s", found.restarts))
    far = [unfairness(args.jobs, args.tenants, seed) for seed in range(args.rounds)]
    rows.append(row_of(f"{case}, simulated", "farthest from its fair share", "%", far))
    report("A long queue", rows, args.json)


if __name__ == "__main__":
    main()
