"""What the scheduler makes of plans, over a real store and a fake cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.fake_cluster import FakeCluster, Fleet
from support.situations import a_job

from learnfleet.server.config import Config
from learnfleet.server.domain import Cause, JobState, Resources
from learnfleet.server.rpc.ports import Capacity, Node
from learnfleet.server.scheduling.planner import AtWork, Planner
from learnfleet.server.scheduling.preview import preview_from_store
from learnfleet.server.scheduling.situation import Held
from learnfleet.server.store.sql import SqlStore

Make = Callable[..., Fleet]
TWO_NODES = (Node("a", "a", 1, 0), Node("b", "b", 1, 0))


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    made: list[Fleet] = []

    def start(cluster: FakeCluster | None = None, **settings: object) -> Fleet:
        made.append(Fleet(tmp_path, cluster or FakeCluster(2), settings))
        made[-1].scheduler.start()
        return made[-1]

    yield start
    for fleet in made:
        fleet.close()


def test_a_job_gives_way_to_one_of_greater_priority_and_goes_on_after_it(make: Make) -> None:
    fleet = make(min_run_s=0)
    fleet.queue("low", resources=Resources(2))
    fleet.until_state("low", JobState.RUNNING)
    fleet.queue("high", resources=Resources(1), priority=5)
    fleet.until_state("high", JobState.RUNNING)
    waiting = fleet.store.get_job("low")
    assert (waiting.state, waiting.cause, dict(waiting.retries)) == (JobState.QUEUED, Cause.PREEMPTED, {"preempted": 1})
    fleet.until(lambda: fleet.store.get_job("low").reason == "needs 2 CPU slots, 1 of 2 are free")
    fleet.cluster.finished.add("high")
    assert fleet.until_state("low", JobState.RUNNING).attempt == 2


def test_what_has_just_begun_is_left_to_run(make: Make) -> None:
    fleet = make(min_run_s=1000)
    fleet.queue("low", resources=Resources(2))
    fleet.until_state("low", JobState.RUNNING)
    fleet.queue("high", priority=5)
    fleet.until(lambda: fleet.store.get_job("high").reason == "needs 1 CPU slots, 0 of 2 are free")
    assert fleet.store.get_job("low").state is JobState.RUNNING


def test_a_tenant_at_its_quota_waits_while_others_run(make: Make) -> None:
    fleet = make(quotas=(("vision", 1, 0),))
    for name in ("one", "two"):
        fleet.queue(name, tenant="vision")
    fleet.queue("other")
    fleet.until_state("other", JobState.RUNNING)
    fleet.until(lambda: fleet.store.get_job("two").reason == "tenant vision is at its quota of 1 CPU slots")
    fleet.cluster.finished.add("one")
    fleet.until_state("two", JobState.RUNNING)


def test_workers_start_on_the_nodes_of_the_plan(make: Make) -> None:
    fleet = make(FakeCluster(nodes=TWO_NODES))
    fleet.queue("one", resources=Resources(2))
    assert fleet.until_state("one", JobState.RUNNING).workers == 2
    assert sorted(fleet.cluster.groups[0].nodes) == ["a", "b"]


def test_an_elastic_job_whose_node_is_lost_goes_on_with_what_is_left(make: Make) -> None:
    fleet = make(FakeCluster(nodes=TWO_NODES))
    fleet.queue("one", resources=Resources(2, 0, 1))
    assert fleet.until_state("one", JobState.RUNNING).workers == 2
    fleet.cluster.nodes = TWO_NODES[:1]
    fleet.cluster.workers_of("one").is_alive = False
    fleet.until(lambda: fleet.store.get_job("one").workers == 1)
    job = fleet.until_state("one", JobState.RUNNING)
    assert dict(job.retries) == {"worker_lost": 1}  # being placed anew is none
    assert fleet.cluster.workers_of("one").nodes == ("a",)


def test_a_job_of_fixed_size_whose_node_is_lost_says_what_it_waits_for(make: Make) -> None:
    fleet = make(FakeCluster(nodes=TWO_NODES))
    fleet.queue("one", resources=Resources(2))
    fleet.until_state("one", JobState.RUNNING)
    fleet.cluster.nodes = TWO_NODES[:1]
    fleet.cluster.workers_of("one").is_alive = False
    fleet.until(lambda: fleet.store.get_job("one").reason == "needs 2 CPU slots, the cluster has 1")
    fleet.cluster.nodes = TWO_NODES
    fleet.until_state("one", JobState.RUNNING)


def test_a_dry_run_says_who_would_give_way_and_nobody_does(make: Make, tmp_path: Path) -> None:
    fleet = make(min_run_s=0)
    low = fleet.queue("low", resources=Resources(2))
    fleet.until_state("low", JobState.RUNNING)
    asked = a_job("high", priority=5)
    for verdict in (
        fleet.scheduler.preview(asked),
        preview_from_store(Config(tmp_path, min_run_s=0), fleet.store, Capacity(2, 0, elastic=False), asked),
    ):
        assert (verdict.preempts, verdict.starts) == ((low.id,), False)
    assert fleet.store.get_job("low").state is JobState.RUNNING


def test_a_dry_run_says_where_a_job_would_run(make: Make) -> None:
    fleet = make(FakeCluster(nodes=TWO_NODES))
    asked = a_job("one", 2)
    assert sorted(fleet.scheduler.preview(asked).nodes) == ["a", "b"]
    assert fleet.cluster.groups == []


def test_what_tenants_have_had_outlives_the_server(tmp_path: Path) -> None:
    store, now_s = SqlStore(Config(tmp_path).store_url), [0.0]
    at_work = [AtWork(a_job("one", tenant="vision"), 0.0, 0, is_stopping=False)]
    held = [Held("one", Resources(1), is_idle=False)]
    waiting = [a_job("two", 2, tenant="vision"), a_job("three", 2, tenant="other")]

    def first(planner: Planner) -> str:
        return planner.plan(waiting, [], [], Capacity(2, 0, elastic=False))[0].job.tenant

    planner = Planner(Config(tmp_path), store, lambda: now_s[0])
    assert first(planner) == "vision"
    for _ in range(3):
        planner.count(at_work, held, Capacity(2, 0, elastic=False))
        now_s[0] += 60
    assert first(planner) == "other"
    assert first(Planner(Config(tmp_path), SqlStore(Config(tmp_path).store_url))) == "vision"
    after = Planner(Config(tmp_path), store)
    after.count([], [], Capacity(2, 0, elastic=False))
    assert first(after) == "other"
    store.close()
