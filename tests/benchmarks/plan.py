"""What deciding on a long queue takes, and how fair what comes of it is.

    python tests/benchmarks/plan.py [--jobs 10000] [--tenants 100] [--rounds 20] [--json FILE]

`plan` alone, a pure function: ten thousand jobs of a hundred tenants, of one to four workers and five priorities, wait
on 64 slots, 60 of which are taken. Times are of the processor, of one look. Then as many jobs of one priority, 20 to
80 s long, run on 1,000 slots whose time is a number, until a fifth of them is left: the greatest distance of a tenant's
slot-seconds from the mean of all.
"""

from __future__ import annotations

import argparse
import sys
import time
from itertools import product
from pathlib import Path

from timing import Row, report, row_of

sys.path.insert(0, str(Path(__file__).parents[1]))
from support.situations import Simulation, a_job, at_work, capacity, situation

from learnfleet.server.scheduling.plan import plan

_SLOTS, _TAKEN = 64, 60


def looks_ms(jobs: int, tenants: int, rounds: int) -> list[float]:
    waiting = [a_job(f"j{n}", 1 + n % 4, n % 5, tenant=f"t{n % tenants}") for n in range(jobs)]
    running = [at_work(a_job(f"r{n}", priority=4, tenant=f"t{n}")) for n in range(_TAKEN)]
    asked = situation(waiting, running, cpus=_SLOTS)
    taken = []
    for _ in range(rounds):
        start = time.process_time()
        plan(asked)
        taken.append((time.process_time() - start) * 1e3)
    return taken


def unfairness_percent(jobs: int, tenants: int) -> float:
    simulation = Simulation(capacity(1000), tick_s=20)
    for tenant, number in product(range(tenants), range(jobs // tenants)):
        job = a_job(f"{tenant}-{number}", 1 + (number * 7 + tenant) % 4, tenant=f"t{tenant}")
        simulation.queue(job, 20.0 + 10 * ((number * 3 + tenant) % 7))
    while simulation.waiting > jobs // 5:
        simulation.step()
    shares = [simulation.slot_seconds[f"t{tenant}"] for tenant in range(tenants)]
    mean = sum(shares) / tenants
    return 100 * max(abs(share / mean - 1) for share in shares)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("jobs", 10_000), ("tenants", 100), ("rounds", 20)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    case = f"{args.jobs:,} jobs, {args.tenants} tenants"
    rows: list[Row] = [
        row_of(case, "one look", "ms", looks_ms(args.jobs, args.tenants, args.rounds)),
        row_of(case, "off the fair share", "%", [unfairness_percent(args.jobs, args.tenants)]),
    ]
    report("Deciding on a long queue", rows, args.json)


if __name__ == "__main__":
    main()
