"""What holds of every plan, whatever is asked: invented situations, and a cluster whose time is a number."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.situations import Simulation, a_job, at_work, capacity, group_of

from learnfleet.server.domain import JobBrief
from learnfleet.server.rpc.ports import Capacity
from learnfleet.server.scheduling.plan import plan
from learnfleet.server.scheduling.situation import (
    Held,
    Kind,
    Rules,
    Running,
    Situation,
    Tenant,
    Verdict,
    Waiting,
    kind_of,
)

TENANTS = ("red", "green", "blue")


@st.composite
def jobs(draw: st.DrawFn, name: str) -> JobBrief:
    workers = draw(st.integers(1, 6))
    return a_job(
        name,
        workers,
        draw(st.integers(-3, 3)),
        learner=f"l{draw(st.integers(0, 12))}",
        tenant=draw(st.sampled_from(TENANTS)),
        gpus=draw(st.integers(0, 1)),
        least=draw(st.none() | st.integers(1, workers)),
        most=draw(st.none() | st.integers(workers, 8)),
    )


@st.composite
def situations(draw: st.DrawFn) -> Situation:
    """What may be found of a cluster: nothing on it exceeds it, or its tenants' quotas."""
    nodes = [f"n{number}" for number in range(draw(st.integers(1, 4)))]
    cpus = {node: draw(st.integers(0, 6)) for node in nodes}
    gpus = {node: draw(st.integers(0, 3)) for node in nodes}
    quotas = {
        name: draw(st.fixed_dictionaries({}, optional={kind: st.integers(0, 8) for kind in Kind})) for name in TENANTS
    }
    tenants = {name: Tenant(draw(st.sampled_from([1.0, 2.0])), quotas[name], draw(st.floats(0, 1))) for name in TENANTS}
    free = {Kind.CPU: dict(cpus), Kind.GPU: dict(gpus)}
    left = {(name, kind): quotas[name].get(kind, 99) for name, kind in product(TENANTS, Kind)}
    running: list[Running] = []
    held: list[Held] = []
    for number in range(draw(st.integers(0, 6))):
        job = replace(draw(jobs(f"r{number}")), learner_id=f"l{number}")
        kind, size = kind_of(job.resources), draw(st.integers(job.resources.least, job.resources.most))
        places = [node for node, slots in free[kind].items() for _ in range(slots)][:size]
        if len(places) < size:
            continue
        is_idle = draw(st.booleans())
        if not is_idle and left[job.tenant, kind] < size:
            continue
        for node in places:
            free[kind][node] -= 1
        held.append(group_of(job, places, idle_for_s=draw(st.floats(0, 600)) if is_idle else None, size=size))
        if not is_idle:
            left[job.tenant, kind] -= size
            running.append(at_work(job, draw(st.floats(0, 60)), draw(st.floats(-3, 4)), stopping=draw(st.booleans())))
    waiting = [Waiting(draw(jobs(f"w{n}")), draw(st.floats(0, 900))) for n in range(draw(st.integers(0, 10)))]
    since = draw(st.dictionaries(st.integers(-3, 3), st.floats(0, 900)))
    return Situation(waiting, running, held, capacity(cpus, gpus), tenants, since, Rules(exact_places=3))


def the_rest(asked: Situation, verdicts: list[Verdict]) -> list[Held]:
    """The groups there are when it is done: those given up are gone, those of started jobs are there."""
    ended = {learner for verdict in verdicts if verdict.starts for learner in verdict.gives_up}
    begun = {verdict.job.learner_id for verdict in verdicts if verdict.starts}
    kept = [group for group in asked.held if group.learner_id not in ended | begun]
    return [*kept, *(group_of(v.job, v.nodes, size=len(v.nodes)) for v in verdicts if v.starts)]


def size_of(asked: Situation, item: Running) -> int:
    return next(group.resources.num_workers for group in asked.held if group.learner_id == item.job.learner_id)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(situations())
def test_every_job_is_told_once_and_no_slot_is_given_twice(asked: Situation) -> None:
    verdicts = plan(asked)
    assert sorted(verdict.job.id for verdict in verdicts) == sorted(item.job.id for item in asked.waiting)
    for kind in Kind:
        used = Counter(node for g in the_rest(asked, verdicts) if kind_of(g.resources) is kind for node in g.nodes)
        assert all(used[node.id] <= kind.of(node) for node in asked.capacity.machines)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(situations())
def test_a_gang_starts_whole_or_not_at_all_on_a_learner_that_is_free(asked: Situation) -> None:
    begun = [verdict for verdict in plan(asked) if verdict.starts]
    assert all(v.job.resources.least <= len(v.nodes) <= v.job.resources.most for v in begun)
    learners = [verdict.job.learner_id for verdict in begun] + [item.job.learner_id for item in asked.running]
    assert len(learners) == len(set(learners))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(situations())
def test_no_tenant_has_more_than_its_quota(asked: Situation) -> None:
    at_work: Counter[tuple[str, Kind]] = Counter()
    for item in asked.running:
        at_work[item.job.tenant, kind_of(item.job.resources)] += size_of(asked, item)
    for verdict in plan(asked):
        at_work[verdict.job.tenant, kind_of(verdict.job.resources)] += len(verdict.nodes)
    for (tenant, kind), slots in at_work.items():
        assert slots <= asked.tenant(tenant).quotas.get(kind, 99)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(situations())
def test_only_lesser_jobs_are_preempted_that_have_run_a_while_and_all_of_them_are_needed(asked: Situation) -> None:
    running = {item.job.id: item for item in asked.running}
    groups = {group.learner_id: group for group in asked.held}
    claimed: set[str] = set()
    for verdict in plan(asked):
        for job_id in verdict.preempts:
            victim = running[job_id]
            assert victim.job.priority < verdict.job.priority
            assert victim.standing < verdict.job.priority
            assert victim.ran_for_s >= asked.rules.min_run_s
            assert not victim.is_stopping
            assert job_id not in claimed
            claimed.add(job_id)
        if verdict.preempts:
            _check_that_all_are_needed(asked, verdict, [groups[running[j].job.learner_id] for j in verdict.preempts])


def _check_that_all_are_needed(asked: Situation, verdict: Verdict, victims: list[Held]) -> None:
    """With any one of them left in its place the job could not start, even if it were alone in line."""
    kind = kind_of(verdict.job.resources)
    assert all(kind_of(group.resources) is kind for group in victims)
    stopping = {item.job.learner_id for item in asked.running if item.is_stopping}
    for spared in victims:
        gone = {group.learner_id for group in victims if group is not spared} | stopping
        without = replace(
            asked,
            waiting=[Waiting(verdict.job)],
            running=[item for item in asked.running if item.job.learner_id not in gone],
            held=[group for group in asked.held if group.learner_id not in gone],
            rules=Rules(preemption=False),
        )
        (alone,) = plan(without)
        assert not alone.starts or _claimed_by_others(asked, verdict)


def _claimed_by_others(asked: Situation, verdict: Verdict) -> bool:
    """Whether somebody before it in line has been given something: what is free for it alone is not free then."""
    return any(other.job.id != verdict.job.id and (other.starts or other.preempts) for other in plan(asked))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(situations())
def test_no_slot_stays_free_that_the_first_in_line_could_use(asked: Situation) -> None:
    """Work conserving: a job that would fit waits only for its learner, its quota, or behind one that is before it, for
    which others may be making room.
    """
    verdicts = plan(asked)
    rest = the_rest(asked, verdicts)
    begun = [at_work(v.job) for v in verdicts if v.starts]
    for verdict in verdicts:
        is_behind = "quota" in verdict.waits_for or "gets the next ones" in verdict.waits_for
        if verdict.waits_for.startswith("needs") and not is_behind:
            after = replace(asked, waiting=[Waiting(verdict.job)], running=[*asked.running, *begun], held=rest)
            assert not plan(replace(after, rules=Rules(preemption=False)))[0].starts


@settings(max_examples=60, deadline=None, derandomize=True)
@given(situations())
def test_a_plan_is_the_same_each_time_and_changes_nothing(asked: Situation) -> None:
    assert plan(asked) == plan(asked)


# -- over time


def test_a_hundred_tenants_share_ten_thousand_jobs_within_five_percent() -> None:
    """Of one to four workers and 20 to 80 s, queued tenant by tenant: the first come have no advantage."""
    simulation = Simulation(Capacity(1000, 0, elastic=False), tick_s=20)
    for tenant, number in product(range(100), range(100)):
        job = a_job(f"{tenant}-{number}", 1 + (number * 7 + tenant) % 4, tenant=f"t{tenant}")
        simulation.queue(job, 20.0 + 10 * ((number * 3 + tenant) % 7))
    while simulation.waiting > 2000:
        simulation.step()
    shares = [simulation.slot_seconds[f"t{tenant}"] for tenant in range(100)]
    mean = sum(shares) / 100
    assert max(abs(share / mean - 1) for share in shares) < 0.05


def test_weights_are_shares_over_time() -> None:
    tenants = {"a": Tenant(weight=3.0), "b": Tenant(weight=1.0)}
    simulation = Simulation(Capacity(8, 0, elastic=False), tenants, tick_s=5)
    for number, tenant in product(range(200), "ab"):
        simulation.queue(a_job(f"{tenant}{number}", 1 + number % 3, tenant=tenant), 30.0)
    for _ in range(200):
        simulation.step()
    assert simulation.slot_seconds["a"] / simulation.slot_seconds["b"] == pytest.approx(3, rel=0.05)


def test_a_large_job_starts_soon_under_a_stream_of_small_ones() -> None:
    simulation = Simulation(Capacity(4, 0, elastic=False), tick_s=10)
    for number in range(200):
        simulation.queue(a_job(f"small{number}", tenant=f"t{number % 5}"), 35.0)
        if number == 20:
            simulation.queue(a_job("large", 4, tenant="large"), 30.0)
            queued_s = simulation.now_s
        simulation.step()
    assert simulation.started_at_s["large"] - queued_s < 60


def test_low_priority_starts_under_an_endless_stream_of_high_and_is_not_stopped_again() -> None:
    simulation = Simulation(Capacity(2, 0, elastic=False), rules=Rules(aging_s=60, min_run_s=20), tick_s=10)
    simulation.queue(a_job("low", 2, 0), 100.0)
    simulation.step()
    for number in range(300):
        simulation.queue(a_job(f"high{number}", 1, 5), 30.0)
        simulation.step()
    assert simulation.preemptions["low"] == 1
    assert 300 < simulation.ended_at_s["low"] < 1000
    assert sum(simulation.slot_seconds.values()) > 0.85 * 2 * simulation.now_s


def test_every_job_of_a_mixed_load_ends_and_quotas_hold_all_the_time() -> None:
    quota = {"green": Tenant(quotas={Kind.CPU: 3})}
    simulation = Simulation(Capacity(8, 2, elastic=False), quota, Rules(aging_s=120, min_run_s=15), tick_s=10)
    count = 300
    for number in range(count):
        tenant = ("red", "green", "blue")[number % 3]
        workers = 1 + number % (3 if tenant == "green" else 8)
        on_gpu = number % 7 == 0
        job = a_job(f"j{number}", min(workers, 2) if on_gpu else workers, number % 5 - 2, tenant=tenant, gpus=on_gpu)
        simulation.queue(job, 10.0 + number % 50)
        if number % 2:
            simulation.step()
            _check_quota(simulation)
    for _ in range(3000):
        if len(simulation.ended_at_s) == count:
            break
        simulation.step()
        _check_quota(simulation)
    assert len(simulation.ended_at_s) == count
    assert sum(simulation.preemptions.values()) > 0


def _check_quota(simulation: Simulation) -> None:
    asked = simulation.situation()
    groups = {group.learner_id: group.resources.num_workers for group in asked.held}
    of_green = [
        groups[i.job.learner_id]
        for i in asked.running
        if i.job.tenant == "green" and not i.job.resources.gpus_per_worker
    ]
    assert sum(of_green) <= 3
